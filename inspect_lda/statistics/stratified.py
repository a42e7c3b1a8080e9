"""Is one arm's rate higher than another's, prompt by prompt? An exact answer.

Two releases that are asked the same prompts are compared within prompts: a prompt that
hits in both says nothing about a difference, and must not be taken for one that does.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.intervals import check_counts


class Compared(NamedTuple):
    """Two arms on the same prompts.

    Attributes:
        p: One-sided p value of "no prompt is likelier to hit in the first arm".
        expected: Hits that the first arm would have by chance alone.
        strata: Prompts that say something: with hits, though not only hits.
    """

    p: float
    expected: float
    strata: int


def exact_conditional(
    first: Mapping[str, Cluster], second: Mapping[str, Cluster]
) -> Compared:
    """Exact conditional test of 2 x 2 tables, by stratum (Gart 1970, Biometrika 57).

    Given the hits and rollouts of each prompt, the first arm's hits there are
    hypergeometric if both arms have one rate; their sum over prompts is compared with
    the distribution of that sum, which is the convolution of all of them.

    Args:
        first: Hits and rollouts by prompt.
        second: The same of the arm to compare with, of the same prompts.

    Raises:
        LDAError: If the prompts are not the same.
    """
    apart = sorted(set(first) ^ set(second))
    if apart:
        raise LDAError(
            f"{len(apart):,} prompts are in one arm alone, e.g. {apart[0]!r}: a test "
            "within prompts needs the same ones in both"
        )
    total = np.ones(1)
    least = seen = strata = 0
    expected = 0.0
    for prompt, one in first.items():
        other = second[prompt]
        check_counts(*one)
        check_counts(*other)
        k, n = one.k + other.k, one.n + other.n
        if k in (0, n) or 0 in (one.n, other.n):
            continue
        strata += 1
        seen += one.k
        expected += k * one.n / n
        least += max(0, k - other.n)
        total = np.convolve(total, _hypergeometric(k, one.n, other.n))
    tail = total[seen - least :] if strata else total
    return Compared(min(1.0, float(tail.sum())), expected, strata)


def _hypergeometric(k: int, n1: int, n2: int) -> NDArray[np.float64]:
    """Probabilities of the first arm's share of k hits, from the least possible up."""
    from scipy import stats

    support = np.arange(max(0, k - n2), min(k, n1) + 1)
    found: NDArray[np.float64] = stats.hypergeom.pmf(support, n1 + n2, k, n1)
    return found
