"""Ready-made tasks, installed as `inspect_lda.tasks`."""
