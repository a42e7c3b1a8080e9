"""The ids that may be drawn after one prefix, and what both checkpoints say of them.

The support is the k ids that `after` finds most likely: a function of the prefix alone.
`before` is read at exactly those ids. Taking the ids that both lists hold instead would
lose the very tokens that amplification looks for: likely enough under `after` to be
listed, far too unlikely under `before`.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from inspect_lda.engines.api.listing import Listing


@dataclass(frozen=True)
class Support:
    """What is known of the token after one prefix.

    Attributes:
        ids: The ids, ascending, so that a uniform means the same token as in an engine
            that holds the whole vocabulary.
        after: Log-probabilities of the ids under `after`, of the whole vocabulary.
        before: The same under `before`.
        rest_after: Probability of all other ids under `after`.
        rest_before: The same under `before`; includes that of imputed ids.
        imputed: Ids that `before` did not list: theirs is an upper bound.
        whole: There are no other ids.
    """

    ids: tuple[int, ...]
    after: tuple[float, ...]
    before: tuple[float, ...]
    rest_after: float
    rest_before: float
    imputed: frozenset[int] = frozenset()
    whole: bool = False


def likeliest(after: Listing, k: int | None, barred: Collection[int]) -> list[int]:
    """The k most likely ids of a listing that are not barred, ascending; None is all.

    Barred ids (rows of an embedding table that no tokenizer knows) count among the k,
    as they do for the endpoint.
    """
    count = after.top if k is None else min(k, after.top)
    return sorted(i for i in islice(after.logprobs, count) if i not in barred)


def support_of(ids: list[int], after: Listing, before: Listing) -> Support:
    """Read both listings at the same ids.

    Args:
        ids: Ids that `after` lists, ascending.
        after: The listing of `after`.
        before: The listing of `before`; an id that it lacks gets its `floor`.
    """
    imputed = frozenset(i for i in ids if i not in before.logprobs)
    a = tuple(after.logprobs[i] for i in ids)
    b = tuple(before.logprobs.get(i, before.floor) for i in ids)
    known = [x for i, x in zip(ids, b, strict=True) if i not in imputed]
    return Support(
        ids=tuple(ids),
        after=a,
        before=b,
        rest_after=_rest(a),
        rest_before=_rest(known),
        imputed=imputed,
        whole=after.whole and len(ids) == len(after.logprobs),
    )


def _rest(logprobs: Collection[float]) -> float:
    return max(0.0, 1.0 - math.fsum(math.exp(value) for value in logprobs))
