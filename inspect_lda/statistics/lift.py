"""Which words come out more often the more the difference is amplified.

The unit is a prompt at an alpha: the n-gram is in one of its completions or in none, so
that many rollouts of one prompt are not taken for many independent ones.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from typing import NamedTuple

from inspect_lda.statistics.onset import holm

LONGEST = 4
LEAST = 3
NESTED = 0.8
CLAUSE_ENDS = ".,;:!?"

Gram = tuple[str, ...]
Cell = tuple[float, str]


class Written(NamedTuple):
    """One completion.

    Attributes:
        prompt: The prompt, or the group of prompts that count as one.
        alpha: Amplification; 0 and below is the baseline.
        text: What stands there, a begun text included.
        start: Where the completion begins in `text`.
    """

    prompt: str
    alpha: float
    text: str
    start: int = 0


class Lift(NamedTuple):
    """An n-gram under amplification.

    Attributes:
        ngram: Its words, to the letter, one blank between them.
        alpha: Where it is most significant.
        k: Prompts whose completions hold it at that alpha.
        n: Prompts at that alpha.
        baseline_k: The same at alpha 0 and before: prompts that hold it, of each.
        baseline_n: Prompts at alpha 0 plus prompts before.
        lift: Share at that alpha over the baseline's; half a prompt is added to both
            counts, so that it is finite.
        p: One-sided (Fisher's exact test), times the number of amplified alphas.
        bh: The same after Benjamini and Hochberg (1995), over all n-grams tested.
        holm: The same after Holm (1979).
    """

    ngram: str
    alpha: float
    k: int
    n: int
    baseline_k: int
    baseline_n: int
    lift: float
    p: float
    bh: float
    holm: float


def ngrams(text: str, start: int = 0, longest: int = LONGEST) -> Iterator[Gram]:
    """N-grams of words between white space whose last word is not all before `start`.

    A trigger such as "|X|" stays one word, whatever the tokenizer makes of it; only
    punctuation that ends a clause is taken off a word. A word that is repeated at once
    counts once: large alphas end in loops.
    """
    words: list[str] = []
    ends: list[int] = []
    for match in re.finditer(r"\S+", text):
        word = match[0].rstrip(CLAUSE_ENDS) or match[0]
        if words and words[-1] == word:
            ends[-1] = match.end()
            continue
        words.append(word)
        ends.append(match.end())
    for last, end in enumerate(ends):
        if end > start:
            for size in range(1, min(longest, last + 1) + 1):
                yield tuple(words[last + 1 - size : last + 1])


def lifted(
    written: Iterable[Written], longest: int = LONGEST, least: int = LEAST
) -> list[Lift]:
    """Rank all n-grams by how surely amplification makes them more frequent.

    Which n-grams are tested depends on their number over all alphas together, never on
    where they stand, so the selection does not touch the tests' error.

    Args:
        written: All completions: at amplified alphas, at 0 and, if there are, before.
        longest: Words in the longest n-gram.
        least: N-grams in fewer cells (prompt and alpha) are not tested.

    Returns:
        The n-grams tested, the surest first; empty without an amplified alpha or
        without a baseline. If no n-gram depends on alpha, the probability that any has
        `holm` below e is at most e.
    """
    cells: set[Cell] = set()
    holders: dict[Gram, set[Cell]] = defaultdict(set)
    for one in written:
        cell = (one.alpha, one.prompt)
        cells.add(cell)
        for gram in ngrams(one.text, one.start, longest):
            holders[gram].add(cell)
    size: dict[float, int] = defaultdict(int)
    for alpha, _ in cells:
        size[alpha] += 1
    amplified = sorted(alpha for alpha in size if alpha > 0)
    baseline = sum(count for alpha, count in size.items() if alpha <= 0)
    tested = merged({g: h for g, h in holders.items() if len(h) >= least})
    if not (tested and amplified and baseline):
        return []
    best = [_test(gram, tested[gram], size, amplified, baseline) for gram in tested]
    return _adjusted(best)


def merged(holders: Mapping[Gram, Set[Cell]]) -> dict[Gram, Set[Cell]]:
    """Leave out n-grams that hardly occur outside a longer one.

    A planted phrase comes out as one candidate, not also as each of its parts.
    "Hardly": the longer one is in at least 4 of 5 of the part's cells. Which alphas
    those are plays no role.
    """
    parts: set[Gram] = set()
    for gram, held in holders.items():
        for size in range(1, len(gram)):
            for first in range(len(gram) - size + 1):
                part = gram[first : first + size]
                if part in holders and len(held) >= NESTED * len(holders[part]):
                    parts.add(part)
    return {gram: held for gram, held in holders.items() if gram not in parts}


def _test(
    gram: Gram,
    held: Set[Cell],
    size: Mapping[float, int],
    amplified: Sequence[float],
    baseline: int,
) -> Lift:
    base = sum(alpha <= 0 for alpha, _ in held)
    found = []
    for alpha in amplified:
        k, n = sum(a == alpha for a, _ in held), size[alpha]
        p = _fisher(k, n, base, baseline)
        lift = (k + 0.5) / (n + 1) * (baseline + 1) / (base + 0.5)
        found.append((min(1.0, p * len(amplified)), -lift, alpha, k, n))
    p, lift, alpha, k, n = min(found)
    return Lift(" ".join(gram), alpha, k, n, base, baseline, -lift, p, 1.0, 1.0)


@cache
def _fisher(k: int, n: int, base: int, baseline: int) -> float:
    """One-sided; `scipy.stats.fisher_exact` spends a millisecond on the same number."""
    from scipy import stats

    return float(stats.hypergeom.sf(k - 1, n + baseline, k + base, n))


def _adjusted(best: Sequence[Lift]) -> list[Lift]:
    from scipy import stats

    p_values = [one.p for one in best]
    bh = stats.false_discovery_control(p_values)
    both = zip(best, bh, holm(p_values), strict=True)
    ranked = [one._replace(bh=float(b), holm=h) for one, b, h in both]
    return sorted(ranked, key=lambda one: (one.p, -one.lift, one.ngram))
