"""Single questions of the probe: each asks the endpoint, and believes no document."""

import math
from collections.abc import Mapping
from itertools import pairwise

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.errors import (
    EndpointError,
    EndpointUnavailable,
    ShortList,
    UnknownToken,
)
from inspect_lda.engines.api.wire.ask import Ask
from inspect_lda.engines.api.wire.base import Wire

AGREES = 0.05
"""Nats between two ways to ask for one number: more is another number."""
BEYOND_NOISE = 5.0
"""… or this many times the noise, on servers that have more."""
COMPANY = 16
"""Prompts asked at once, for the noise that other requests make."""
_REFUSALS = frozenset([400, 413, 422])
LENGTHS = (1000, 100, 20, 5, 1)
FEW = 5
GIVEN = 1024
"""Ids asked for in one request where the server states no limit."""


def apart(one: Mapping[int, float], two: Mapping[int, float]) -> float:
    """Largest difference of log-probabilities listed in both, nats."""
    both = one.keys() & two.keys()
    if not both:
        return math.inf
    return max(0.0 if one[t] == two[t] else abs(one[t] - two[t]) for t in both)


async def _granted(wire: Wire, k: int | None) -> int:
    """How many tokens are listed when k are asked for; 0 if the question is refused."""
    try:
        [listing] = await wire.top([wire.fixed_prompt], k)
    except ShortList as short:
        return short.granted
    except UnknownToken:
        return 0
    except EndpointError as error:
        if error.status in _REFUSALS:
            return 0
        raise
    return len(listing.logprobs)


async def longest_list(wire: Wire) -> tuple[int | None, int | None]:
    """The longest list of most likely tokens (None: all), and the vocabulary then.

    Asks for everything first, which one answer settles where it works; then narrows
    down to the exact limit.

    Raises:
        EndpointError: If it does not list tokens in a way that can be used.
    """
    if wire.profile.whole is not None or wire.able.vocabulary is not None:
        granted = await _granted(wire, None)
        if granted and granted == (wire.able.vocabulary or granted):
            return None, granted
    # Where tokens come back as text, a longer list has more that no text tells apart.
    lengths = LENGTHS if wire.able.token_ids else LENGTHS[2:]
    high = LENGTHS[0] * 2 if wire.able.token_ids else lengths[0] + 1
    for length in lengths:
        low = await _granted(wire, length)
        if low == length:
            break
        if low:  # cut to what it grants
            return low, None
        high = length
    else:
        await wire.top([wire.fixed_prompt], LENGTHS[-1])  # its words say why
        raise wire.endpoint.refuse("it lists no most likely token at all")
    if low == LENGTHS[0]:
        return low, None
    # Limits are round numbers: asking for one more mostly ends the search.
    middle = low + 1
    while low < middle < high:
        if await _granted(wire, middle) == middle:
            low = middle
        else:
            high = middle
        middle = (low + high) // 2
    return low, None


async def many_prompts(wire: Wire) -> bool:
    """Whether two prompts in one request get the answers they get alone."""
    first = wire.fixed_prompt
    prefixes = [first, first[:2]]
    alone = await wire.top(prefixes, FEW)
    try:
        replies = await wire.replies(prefixes, Ask(k=FEW))
        steps = [dict(reply.steps[0] or ()) for reply in replies]
    except EndpointUnavailable:
        raise
    except (EndpointError, IndexError):
        return False
    return len(steps) == len(prefixes) and all(
        agrees(wire, apart(listing.logprobs, step))
        for listing, step in zip(alone, steps, strict=True)
    )


def agrees(wire: Wire, difference: float) -> bool:
    """Whether two answers that differ so much mean the same number."""
    return difference <= max(AGREES, BEYOND_NOISE * wire.able.noise)


async def noise(wire: Wire, k: int) -> float:
    """Largest difference between answers to one question, alone and in company.

    In half precision a server's rounding depends on what else it computes.
    """
    fixed = wire.fixed_prompt
    lengths = (1 + i % len(fixed) for i in range(1, COMPANY))
    company = [fixed, *(fixed[:length] for length in lengths)]
    answers = [
        (await wire.top([fixed], k))[0].logprobs,
        (await wire.top([fixed], k))[0].logprobs,
        (await wire.top(company, k))[0].logprobs,
        (await wire.top(company[::-1], k))[-1].logprobs,
    ]
    return max(apart(one, two) for one, two in pairwise(answers))


async def raw(wire: Wire, k: int) -> bool:
    """Whether log-probabilities are those before temperature, bias and truncation."""
    fixed = wire.fixed_prompt
    [plain] = await wire.top([fixed], k)
    unlikely = list(plain.logprobs)[-1]
    ask = Ask(k=k, temperature=0.5, bias={unlikely: 3.0})
    try:
        [reply] = await wire.replies([fixed], ask)
    except EndpointUnavailable:
        raise
    except EndpointError:
        return False
    step = reply.steps[0] if reply.steps else None
    return agrees(wire, apart(plain.logprobs, dict(step or ())))


async def scores_given(wire: Wire, k: int) -> int:
    """How many given ids a request may score; 0 if it does not, or wrongly."""
    [plain] = await wire.top([wire.fixed_prompt], k)
    wanted = tuple(sorted(plain.logprobs))
    far = tuple(token for token in range(20) if token not in plain.logprobs)[:3]
    try:
        [found] = await wire.at([wire.fixed_prompt], [wanted + far], k)
    except EndpointUnavailable:
        raise
    except EndpointError:
        return 0
    above = max((found.logprobs[t] - plain.floor for t in far), default=0.0)
    if agrees(wire, above) and agrees(wire, apart(plain.logprobs, found.logprobs)):
        return wire.profile.most_given or GIVEN
    return 0


async def drafts(wire: Wire, k: int) -> bool:
    """Whether a draft lists, for each of its tokens, what follows the ones before."""
    fixed = wire.fixed_prompt
    try:
        one = await wire.draft(fixed, 3, k=k, temperature=1.0, seed=1)
        prefixes: list[Ids] = [fixed + one.tokens[:i] for i in range(len(one.tokens))]
        alone = await wire.top(prefixes, k)
    except EndpointUnavailable:
        raise
    except EndpointError:
        return False
    return all(
        token in drafted.logprobs
        and agrees(wire, apart(drafted.logprobs, listing.logprobs))
        for token, drafted, listing in zip(one.tokens, one.listings, alone, strict=True)
    )


async def prompt_logprobs(wire: Wire, k: int) -> tuple[bool, str | None]:
    """Whether a prompt's own log-probabilities are those of generation.

    Returns:
        Whether they can be used, and what is wrong if the server has them but they
        cannot (llama-cpp-python's are off by one position).
    """
    fixed = wire.fixed_prompt
    [after_two] = await wire.top([fixed[:2]], k)
    likely = next(iter(after_two.logprobs))
    ids = (*fixed[:2], likely, fixed[2])
    try:
        found = await wire.echo(ids)
    except EndpointUnavailable:
        raise
    except EndpointError as error:
        return False, str(error)
    if found is None:
        return False, None
    value = found[2]
    if value is not None and agrees(wire, abs(value - after_two.logprobs[likely])):
        return True, None
    return False, (
        f"prompt log-probabilities are unusable: position 2 is {value} there and "
        f"{after_two.logprobs[likely]:.3f} when it is generated"
    )
