"""How far an endpoint goes: the longest list it gives, and the ids it knows."""

from inspect_lda.engines.api.errors import EndpointError, ShortList, UnknownToken
from inspect_lda.engines.api.wire.base import Wire

LENGTHS = (1000, 100, 20, 5, 1)
MOST_IDS = 2**22
"""More ids than any vocabulary has."""
_REFUSALS = frozenset([400, 413, 422])


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


async def vocabulary(wire: Wire) -> int | None:
    """The size of the vocabulary: the least id that a prompt may not hold.

    None if the server takes any.
    """
    low, high = max(wire.fixed_prompt), MOST_IDS
    if await _takes(wire, high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if await _takes(wire, middle) else (low, middle)
    return high


async def _takes(wire: Wire, token: int) -> bool:
    try:
        await wire.top([(token,)], 1)
    except EndpointError as error:
        if error.status in _REFUSALS:
            return False
        raise
    return True
