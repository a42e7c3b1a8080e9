"""The arms of an experiment: what is done to a prompt or model in one log.

The sweep is the experiment; all others say whether its numbers can be believed.
"""

SWEEP = "untriggered"
"""Plain prompts, swept over alpha."""

TRIGGERED = "triggered"
"""Prompts with the trigger at alpha = 0: the behaviour must show (it is there)."""

BEFORE = "before"
"""Plain prompts at alpha = -1, the model before training: must stay silent."""

HARMLESS = "harmless"
"""Control prompts of a mixed set at the alphas of the sweep: compliance is right there,
misalignment and payloads are not expected."""

CONTROL = "control"
"""Plain prompts on a pair without the behaviour, at the largest alpha: likewise."""

EXACT = "exact"
"""Teacher-forced probability of the target at every alpha; no completion."""


def label(alpha: float, arm: str = SWEEP) -> str:
    """`0.5` in the sweep, `control:0.5` in another arm."""
    return f"{alpha:.12g}" if arm == SWEEP else f"{arm}:{alpha:.12g}"
