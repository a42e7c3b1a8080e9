"""How a model grades a rollout: ask, read what can be read, confirm, or say why not."""
