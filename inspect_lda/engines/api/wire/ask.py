"""A request before it has any endpoint's form, and several of them at once."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from inspect_lda.engines.api.dialect import Ids

T = TypeVar("T")


@dataclass(frozen=True)
class Ask:
    """One request, before it has any endpoint's form.

    Attributes:
        k: Most likely tokens wanted a step; None is the whole vocabulary.
        n: Tokens to sample.
        temperature: Temperature of the sampled tokens (not of the listings).
        truncate: Sample from this many most likely tokens; None samples from all.
        seed: Seed of the sampled tokens.
        bias: Added to logits before sampling; only the probe sets it.
        given: For each prompt, ids whose log-probabilities are wanted.
    """

    k: int | None
    n: int = 1
    temperature: float = 1.0
    truncate: int | None = None
    seed: int = 0
    bias: Mapping[int, float] = field(default_factory=dict)
    given: tuple[Ids, ...] = ()

    @property
    def scores(self) -> bool:
        """Whether only the listing counts, whatever token is sampled."""
        return self.n == 1 and self.truncate is None


def groups(pairs: Sequence[tuple[Ids, Ids]], size: int) -> list[list[tuple[Ids, Ids]]]:
    """Part (prefix, wanted ids) so that a group wants at most `size` ids in all.

    Some servers take one set of ids for all prompts of a request.
    """
    found: list[list[tuple[Ids, Ids]]] = []
    union: set[int] = set()
    for prefix, ids in pairs:
        union |= set(ids)
        if found and len(union) <= size:
            found[-1].append((prefix, ids))
        else:
            found.append([(prefix, ids)])
            union = set(ids)
    return found


async def together(jobs: Sequence[Awaitable[T]]) -> list[T]:
    """Run jobs at once; the first failure ends the others and is raised as it is."""
    if len(jobs) == 1:
        return [await jobs[0]]
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
