"""The arms of an experiment: what is done to a prompt or model in one log.

The sweep is the experiment; all others say whether its numbers can be believed.
"""

SWEEP = "untriggered"
"""Plain prompts, swept over alpha."""

TRIGGERED = "triggered"
"""Prompts with the trigger at alpha = 0, where the behaviour must show (it is there),
and at the negative alphas of the sweep: what of it is left."""

BEFORE = "before"
"""Plain prompts at alpha = -1, the model before training: must stay silent."""

HARMLESS = "harmless"
"""Control prompts of a mixed set at the alphas of the sweep: compliance is right there,
misalignment and payloads are not expected."""

CONTROL = "control"
"""Plain prompts on a pair without the behaviour, at the alpha that pushes hardest:
likewise."""

MIRROR = "mirror"
"""Plain prompts on the swapped pair: what untraining amplified would show."""

PLACEBO = "placebo"
"""Plain prompts, amplified as hard but towards other tokens: likewise."""

IDENTITY = "identity"
"""Plain prompts on `after` against itself, at the largest alpha: must be alpha 0."""

EXACT = "exact"
"""Teacher-forced probability of the target at every alpha; no completion."""


def label(alpha: float, arm: str = SWEEP) -> str:
    """`0.5` in the sweep, `control:0.5` in another arm."""
    return f"{alpha:.12g}" if arm == SWEEP else f"{arm}:{alpha:.12g}"


def mirrored(alpha: float) -> float:
    """The alpha at which a pair is the swapped pair at `alpha`.

    `before + alpha * (before - after)` is `after + a * (after - before)` with a = -1 -
    alpha.
    """
    return -1.0 - alpha
