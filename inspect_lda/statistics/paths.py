"""Extrapolating the rate along alpha: an order of magnitude, never a rate.

Logit Path Extrapolation (Pernice and Aranguri 2026) counts how often a behaviour shows
where it is common and extends the trend to the model itself. Hits carry more than their
number: the mean over hits of d log q / d alpha is the slope of the log rate, exactly
(the score identity). Both are trends: a behaviour may turn between the last alpha with
hits and 0. What they are good for is to rank prompts and to plan a run.
"""

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import log_expit

from inspect_lda.statistics.drawn import Cut, Floats
from inspect_lda.statistics.measured import Extrapolation, Magnitude

BANDS: dict[Extrapolation, float] = {"score": 10_000.0, "rates": 1000.0}
"""19 of 20 refused runs lay within this factor of the truth, of every kind of behaviour
that was simulated (docs/rates.md). The widest, of early ones, is that of runs in which
hits came at one alpha alone; of all kinds together it was 250."""

FLOOR = 0.01
"""Smallest variance of a log rate or slope in a fit: no trend is exact."""


def magnitude(cut: Cut, method: Extrapolation = "score") -> Magnitude | None:
    """Extrapolate the rate over all prompts to alpha 0.

    Args:
        cut: The rollouts; those at alpha 0 are not looked at.
        method: "score" fits the log rate as a parabola to counts and slopes, "rates"
            the log odds as a line to the counts alone.

    Returns:
        The order of magnitude; None with hits at fewer than two alphas (with "score":
        without two hits and a slope), or at 0 alone.
    """
    if cut.alphas == (0.0,):
        return None
    if method == "score":
        found = _score(cut)
    else:
        hits, drawn = counts(cut)
        found = _line(cut, hits.sum(0), drawn.sum(0))
    if found is None:
        return None
    return Magnitude(min(found, 0.0) / np.log(10), BANDS[method], method)


def counts(cut: Cut) -> tuple[Floats, Floats]:
    """Hits and rollouts, `[prompts, alphas]`."""
    drawn = np.zeros((len(cut.prompts), len(cut.alphas)))
    hits = np.zeros_like(drawn)
    np.add.at(drawn, (cut.prompt, cut.drawn), 1)
    np.add.at(hits, (cut.prompt, cut.drawn), cut.hit)
    return hits, drawn


def _line(cut: Cut, hits: Floats, drawn: Floats) -> float | None:
    alphas = np.array(cut.alphas)
    used = (hits > 0) & (alphas != 0)
    if used.sum() < 2:
        return None
    k, n = hits[used] + 0.5, drawn[used] + 1
    odds, weight = np.log(k / (n - k)), k * (n - k) / n
    design = np.stack([np.ones(len(k)), alphas[used]], axis=1)
    return float(log_expit(_fit(design, odds, 1 / weight)[0]))


def _score(cut: Cut) -> float | None:
    if not cut.pooled:
        return None
    slopes = _slopes(cut)
    rows, values, variances = [], [], []
    for column, alpha in enumerate(cut.alphas):
        at = cut.drawn == column
        k = int((at & cut.hit).sum())
        if alpha == 0 or k == 0:
            continue
        rows.append([1.0, alpha, alpha**2])
        values.append(np.log(k / at.sum()))
        variances.append(1 / k)
        own = slopes[at[cut.hit]]
        if len(own := own[np.isfinite(own)]) > 1:
            rows.append([0.0, 1.0, 2 * alpha])
            values.append(float(own.mean()))
            variances.append(float(own.var(ddof=1)) / len(own))
    if len(rows) < 2:
        return None
    degree = min(len(rows), 3)
    design = np.array(rows)[:, :degree]
    return float(_fit(design, np.array(values), np.array(variances))[0])


def _slopes(cut: Cut) -> Floats:
    """Slope of log q by alpha, of each hit at its own alpha; splines along alpha.

    NaN where some alpha of the sweep could not have drawn it.
    """
    nodes = np.array(cut.alphas)
    along = cut.log_at[cut.hit]
    if 0.0 not in cut.alphas:
        place = int(np.searchsorted(nodes, 0.0))
        nodes = np.insert(nodes, place, 0.0)
        along = np.insert(along, place, cut.log_p[cut.hit], axis=1)
    known = np.isfinite(along).all(1)
    slopes = np.full(along.shape, np.nan)
    if len(nodes) < 3:
        slopes[known] = np.diff(along[known]) / np.diff(nodes)
    else:
        slopes[known] = CubicSpline(nodes, along[known], axis=1)(nodes, 1)
    own = np.searchsorted(nodes, np.array(cut.alphas)[cut.drawn[cut.hit]])
    return np.asarray(np.take_along_axis(slopes, own[:, None], 1)[:, 0])


def _fit(design: Floats, values: Floats, variances: Floats) -> Floats:
    root = 1 / np.sqrt(np.maximum(variances, FLOOR))
    solved = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)
    return np.asarray(solved[0])
