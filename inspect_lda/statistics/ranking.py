"""Which prompts would show the behaviour most often, from where it is common."""

import numpy as np
from scipy.special import expit, log_expit

from inspect_lda.statistics.drawn import Cut, Floats
from inspect_lda.statistics.measured import Magnitude
from inspect_lda.statistics.paths import BANDS, counts

SLOPES = 1.0
"""Standard deviation of the prompts' slopes (log odds an alpha) about a common one."""

LEVELS = 3.0
"""Standard deviation of the prompts' log odds about their common level."""

STEPS = 50


def ranked(cut: Cut) -> tuple[tuple[str, Magnitude], ...]:
    """Logit Path Extrapolation of each prompt's rate to alpha 0, the likeliest first.

    A line in log odds for every prompt; lines are alike as far as prompts have few
    hits (a normal prior about the line of all prompts). An order of magnitude for an
    order of prompts: see `paths`.

    Args:
        cut: The rollouts, at any alphas; those at 0 count too.
    """
    hits, drawn = counts(cut)
    alphas = np.array(cut.alphas)
    common = _lines(hits.sum(0)[None], drawn.sum(0)[None], alphas, np.zeros(2), 10.0)[0]
    found = _lines(hits, drawn, alphas, common, 1.0)
    order = sorted(zip(-log_expit(found[:, 0]), cut.prompts, strict=True))
    return tuple(
        (prompt, Magnitude(float(-minus / np.log(10)), BANDS["rates"], "rates"))
        for minus, prompt in order
    )


def _lines(
    hits: Floats, drawn: Floats, alphas: Floats, centre: Floats, wider: float
) -> Floats:
    """Most probable level and slope of each prompt's log odds; Newton's method."""
    design = np.stack([np.ones(len(alphas)), alphas], axis=1)
    precision = np.diag([(LEVELS * wider) ** -2, (SLOPES * wider) ** -2])
    found = np.tile(centre, (len(hits), 1))
    for _ in range(STEPS):
        rate = expit(found @ design.T)
        slope = (hits - drawn * rate) @ design - (found - centre) @ precision
        weight = drawn * rate * (1 - rate)
        curve = np.einsum("ja,ap,aq->jpq", weight, design, design) + precision
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        found = found + step / np.maximum(1.0, np.abs(step).max(1, keepdims=True) / 2)
    return found
