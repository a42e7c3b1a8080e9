"""Copied text between prompt sets: n-grams of words that both sides hold."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

WORD = re.compile(r"[^\W_]+")
APOSTROPHES = re.compile("['\u2019]")


@dataclass(frozen=True, order=True)
class Overlap:
    """Two texts and the first n-gram that they share."""

    left: str
    right: str
    ngram: str


def shared_ngrams(
    left: Iterable[str], right: Iterable[str], n: int = 8
) -> list[Overlap]:
    """Every pair of a text of `left` and one of `right` that share `n` words in a row.

    Case, punctuation and spacing do not count. A text of fewer than `n` words is one
    n-gram as a whole, so that a short text is found when both sides hold it alone.
    Scripts that put no blanks between words are compared by their unbroken runs.

    Args:
        left: Texts that are kept in memory.
        right: Texts that are read once, so this may be the larger side.
        n: Words in a row; 8 is long enough that agreement is rarely chance.

    Returns:
        Sorted, each pair once.

    Raises:
        ValueError: If `n` is not at least 1.
    """
    if n < 1:
        raise ValueError(f"n={n}: need at least 1 word")
    holders: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for text in left:
        for gram in _ngrams(text, n):
            holders[gram].add(text)
    found: dict[tuple[str, str], Overlap] = {}
    for text in right:
        for gram in _ngrams(text, n):
            for holder in holders.get(gram, ()):
                overlap = Overlap(holder, text, " ".join(gram))
                found.setdefault((holder, text), overlap)
    return sorted(found.values())


def _ngrams(text: str, n: int) -> Iterator[tuple[str, ...]]:
    words = WORD.findall(APOSTROPHES.sub("", text).casefold())
    if not words:
        return
    for start in range(max(1, len(words) - n + 1)):
        yield tuple(words[start : start + n])
