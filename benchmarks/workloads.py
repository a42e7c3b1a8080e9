"""What the contestants are asked: prompts, lengths, alphas, seeds."""

from collections.abc import Sequence

import torch

from inspect_lda.engines.base import Request, Sampling

PROMPT = 40
"""Tokens of a prompt."""
SHORT_PROMPT = 20
TEMPERATURE = 0.7
ALPHAS = (0.0, 0.3, 1.0, 3.0)
FIRST_ORDINARY = 100
"""Ids below are special in every pair used here."""


def prompt(seed: int, width: int, length: int = PROMPT) -> tuple[int, ...]:
    """Random ids of ordinary tokens, below `width`."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(FIRST_ORDINARY, width, (length,), generator=generator)
    return tuple(ids.tolist())


def request(
    ids: tuple[int, ...], max_tokens: int, *, alpha: float = 1.0, seed: int = 0
) -> Request:
    """A request that runs to its last token (the pairs have no end of turn)."""
    return Request(ids, alpha, Sampling(TEMPERATURE, seed=seed), max_tokens)


def lognormal(
    count: int, width: int, length: int, *, median: float, most: int
) -> list[Request]:
    """Requests of lengths as replies have them: lognormal, sigma 0.8.

    Args:
        count: How many.
        width: Ids of prompts lie below.
        length: Tokens of every prompt.
        median: Of the replies' lengths.
        most: Longest reply.
    """
    generator = torch.Generator().manual_seed(1)
    drawn = median * torch.exp(0.8 * torch.randn(count, generator=generator))
    lengths = drawn.clamp(2, most).long().tolist()
    return [
        request(prompt(index, width, length), tokens, seed=index)
        for index, tokens in enumerate(lengths)
    ]


def mixed(count: int, width: int, max_tokens: int) -> list[Request]:
    """`count` prompts x 4 alphas x 2 seeds; no two requests share a seed."""
    cells = [
        (prompt(index, width, SHORT_PROMPT), alpha)
        for index in range(count)
        for alpha in ALPHAS
        for _ in range(2)
    ]
    return [
        request(ids, max_tokens, alpha=alpha, seed=seed)
        for seed, (ids, alpha) in enumerate(cells)
    ]


def alike(count: int, width: int, max_tokens: int) -> list[Request]:
    """As many requests as `mixed` makes, of the same prompts, all at alpha 1."""
    return [
        request(one.prompt, max_tokens, seed=0)
        for one in mixed(count, width, max_tokens)
    ]


def total(requests: Sequence[Request]) -> int:
    """Tokens that the requests ask for."""
    return sum(one.max_tokens for one in requests)


def chunks(requests: Sequence[Request], size: int) -> list[list[Request]]:
    """The requests in batches, in order."""
    return [list(requests[i : i + size]) for i in range(0, len(requests), size)]
