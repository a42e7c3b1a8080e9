"""Single questions of the probe: each asks the endpoint, and believes no document."""

import math
from collections.abc import Mapping
from itertools import pairwise

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.errors import (
    EndpointError,
    EndpointUnavailable,
    ShortList,
)
from inspect_lda.engines.api.wire.ask import Ask, together
from inspect_lda.engines.api.wire.base import Wire

AGREES = 0.05
"""Nats between two ways to ask for one number: more is another number."""
BEYOND_NOISE = 5.0
"""… or this many times the noise, on servers that have more."""
COMPANY = 16
"""Prompts asked at once, for the noise that other requests make."""
FEW = 5
GIVEN = 1024
"""Ids asked for in one request where the server states no limit."""


def apart(one: Mapping[int, float], two: Mapping[int, float]) -> float:
    """Largest difference of log-probabilities listed in both, nats."""
    both = one.keys() & two.keys()
    if not both:
        return math.inf
    return max(0.0 if one[t] == two[t] else abs(one[t] - two[t]) for t in both)


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


async def mixes(wire: Wire, k: int) -> bool:
    """Whether lists stay whole while the server is asked for given ids as well."""
    fixed = wire.fixed_prompt
    [plain] = await wire.top([fixed], k)
    ids = tuple(plain.logprobs)
    lists = [wire.top([fixed], k) for _ in range(COMPANY)]
    given = [wire.at([fixed], [ids], k) for _ in range(COMPANY)]
    wire.turn = "mixed"
    try:
        # In turns of one each, so that they meet in the server's batches.
        answers = await together(
            [job for both in zip(lists, given, strict=True) for job in both]
        )
    except ShortList:
        return False
    finally:
        wire.turn = None
    return all(agrees(wire, apart(plain.logprobs, a.logprobs)) for [a] in answers)


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
