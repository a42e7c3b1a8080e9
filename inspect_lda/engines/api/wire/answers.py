"""Answers become listings here, or errors: a wrong number must never look like one."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import AnswerError, ShortList
from inspect_lda.engines.api.listing import Listing

Entry = tuple[int, float]
Refuse = Callable[[str, str], AnswerError]

_EXCESS = 1e-3
"""How far probabilities may sum above 1: half-precision servers round."""
_ORDER = 1e-4
"""How far a list may rise, nats: equal logits are printed after different rounding."""
_SENTINEL = -9999.0
"""At most this is no log-probability but a server's way to write minus infinity (vLLM
and OpenAI -9999, llama.cpp the least float)."""
_UNKNOWN = -100.0
"""Exactly this is some servers' filler for "not computed"."""


@dataclass(frozen=True)
class Reply:
    """What an endpoint returned for one prompt, still unchecked.

    Attributes:
        tokens: Sampled ids.
        steps: One a token: (id, log-probability) in the server's order, or None where
            the server gave nothing.
        given: One a token: the ids that were asked for; empty if none were.
        ended: The endpoint stopped by itself.
    """

    tokens: tuple[int, ...]
    steps: tuple[tuple[Entry, ...] | None, ...]
    given: tuple[tuple[Entry, ...], ...] = ()
    ended: bool = False


def check_ids(entries: Sequence[Entry], vocabulary: int | None, refuse: Refuse) -> None:
    """Every id once, and inside the vocabulary."""
    ids = [token for token, _ in entries]
    if len(set(ids)) != len(ids):
        raise refuse("a list of most likely tokens names a token twice", "")
    limit = math.inf if vocabulary is None else vocabulary
    stranger = next((token for token in ids if not 0 <= token < limit), None)
    if stranger is not None:
        raise refuse(
            f"token id {stranger} is outside the vocabulary of {vocabulary} ids", ""
        )


def top_listing(
    entries: Sequence[Entry] | None,
    k: int | None,
    *,
    sampled: int | None,
    keep_sampled: bool,
    vocabulary: int | None,
    more: str,
    refuse: Refuse,
) -> Listing:
    """Check one list of most likely tokens.

    Args:
        entries: (id, log-probability) in the server's order.
        k: How many were asked for; None is the whole vocabulary.
        sampled: The sampled token, which many servers list out of turn.
        keep_sampled: Keep it if it is not among the k. Otherwise it is left out, so
            that a listing is a function of its prefix.
        vocabulary: Size of the vocabulary, if known.
        more: How to get longer lists.
        refuse: Makes the error.

    Raises:
        AnswerError: If the list is not what was asked for.
    """
    if not entries:
        raise refuse(
            "it answered without log-probabilities",
            "Some servers ignore `logprobs` and answer 200 all the same (transformers "
            "serve does). Serve the model with vLLM, SGLang or llama.cpp",
        )
    check_ids(entries, vocabulary, refuse)
    _check_values(entries, refuse)
    wanted = vocabulary if k is None else k
    if vocabulary is not None and wanted is not None:
        wanted = min(wanted, vocabulary)
    if wanted is not None and len(entries) < wanted:
        short = refuse(
            f"it returned {len(entries)} log-probabilities where {wanted} were asked",
            more[:1].upper() + more[1:],
        )
        raise ShortList(str(short), granted=len(entries))
    ranked = _ranked(entries, sampled, refuse)
    whole = k is None or len(entries) == vocabulary
    top = ranked if whole else ranked[:k]
    extra = [one for one in ranked[len(top) :] if keep_sampled and one[0] == sampled]
    if whole:
        kept = {token: _minus_infinity(value) for token, value in top}
        return _summed(Listing(kept, top=len(kept), whole=True), refuse)
    known = [(token, min(v, 0.0)) for token, v in top if not _missing(v)]
    logprobs = dict(known + [(token, v) for token, v in extra if not _missing(v)])
    return _summed(Listing(logprobs, top=len(known)), refuse)


def given_listing(
    entries: Sequence[Entry] | None, wanted: Sequence[int], refuse: Refuse
) -> Listing:
    """Check log-probabilities of ids that were asked for; other ids are left out.

    Raises:
        AnswerError: If one of the wanted is missing.
    """
    found = {t: value for t, value in entries or () if not math.isnan(value)}
    _check_values(entries or (), refuse)
    missing = [token for token in wanted if token not in found]
    if missing:
        raise refuse(
            f"it left out {len(missing)} of {len(wanted)} ids whose log-probabilities "
            f"were asked for (the first is {missing[0]})",
            "An older server ignores the question: see docs/api.md for versions",
        )
    logprobs = {token: _minus_infinity(found[token]) for token in wanted}
    return _summed(Listing(logprobs, top=0), refuse)


def _check_values(entries: Sequence[Entry], refuse: Refuse) -> None:
    for token, value in entries:
        if math.isnan(value) or value == math.inf or value > 1e-3:
            raise refuse(f"the log-probability of token {token} is {value}", "")


def _ranked(
    entries: Sequence[Entry], sampled: int | None, refuse: Refuse
) -> list[Entry]:
    """Most likely first. Only the sampled token may stand elsewhere."""
    others = [value for token, value in entries if token != sampled]
    rises = [b - a for a, b in pairwise(others) if b - a > _ORDER]
    if rises:
        raise refuse(
            "its list of most likely tokens is not in order (a value rises by "
            f"{max(rises):.3g} nats)",
            "",
        )
    # The server's order decides between equals, the sampled token then comes last.
    place = {token: (token == sampled, i) for i, (token, _) in enumerate(entries)}
    return sorted(entries, key=lambda one: (-one[1], place[one[0]]))


def _missing(value: float) -> bool:
    return value <= _SENTINEL or value == _UNKNOWN


def _minus_infinity(value: float) -> float:
    return -math.inf if value <= _SENTINEL else min(value, 0.0)


def _summed(listing: Listing, refuse: Refuse) -> Listing:
    total = math.fsum(math.exp(value) for value in listing.logprobs.values())
    if total > 1 + _EXCESS:
        raise refuse(f"its probabilities sum to {total:.6f}, more than 1", "")
    if listing.whole and total < 1 - _EXCESS:
        raise refuse(
            f"the probabilities of its whole vocabulary sum to {total:.6f}, not to 1",
            "Does the server return logits, or log-probabilities after truncation?",
        )
    return listing


@contextmanager
def reading(endpoint: Endpoint, way_out: str = "") -> Iterator[None]:
    """Inside it an answer of another form than expected is the endpoint's error.

    Args:
        endpoint: Whose answer is read.
        way_out: Added to the error.

    Raises:
        EndpointError: If something that has to be in the answer is not.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise endpoint.refuse(
            f"its answer cannot be read ({type(error).__name__}: {error})", way_out
        ) from None
