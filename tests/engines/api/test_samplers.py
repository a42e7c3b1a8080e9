"""Both ways to decode draw from the same distribution, that of the definition."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from inspect_lda.engines.api.dialect import Dialect, Ids
from inspect_lda.engines.api.engine import ApiEngine
from inspect_lda.engines.api.listing import Draft, Listing
from inspect_lda.engines.api.served import ServedPair as Opened
from inspect_lda.engines.base import Request
from tests.engines.api.serving import asked, exact, serving_engine
from tests.served.gguf_files import Pair
from tests.served.servers import ServedPair

PROMPT = (2, 40, 41, 42, 43)
RUNS = 800
FEW = 6
"""A support of so many ids: 36 outcomes of two tokens."""


class Remembering:
    """A dialect that is asked each question once: many rollouts of two tokens ask few.

    Drafts are not remembered: the server draws them.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[tuple[Ids, int | None], Listing] = {}

    async def top(self, prefixes: Sequence[Ids], k: int | None) -> list[Listing]:
        """See `Dialect`."""
        for prefix in prefixes:
            if (prefix, k) not in self._known:
                [self._known[prefix, k]] = await self._dialect.top([prefix], k)
        return [self._known[prefix, k] for prefix in prefixes]

    async def at(
        self, prefixes: Sequence[Ids], wanted: Sequence[Ids], k: int
    ) -> list[Listing]:
        """See `Dialect`."""
        return await self._dialect.at(prefixes, wanted, k)

    async def draft(
        self, prefix: Ids, n: int, *, k: int, temperature: float, seed: int
    ) -> Draft:
        """See `Dialect`."""
        return await self._dialect.draft(
            prefix, n, k=k, temperature=temperature, seed=seed
        )


async def outcomes(engine: ApiEngine, request: Request) -> Counter[Ids]:
    """The two tokens of many rollouts."""
    pair = remembered(await engine.pair())
    seen: Counter[Ids] = Counter()
    for seed in range(RUNS):
        sampling = replace(request.sampling, seed=seed)
        rollout = engine.rollout(pair, replace(request, sampling=sampling))
        await engine.decode(rollout)
        seen[rollout.completion().tokens] += 1
    return seen


def remembered(pair: Opened) -> Opened:
    sides = [
        replace(one, side=replace(one.side, dialect=Remembering(one.side.dialect)))
        for one in pair.sides
    ]
    return replace(pair, sides=(sides[0], sides[1]))


def joint(pair: Pair, request: Request, ends: frozenset[int]) -> dict[Ids, float]:
    """The chance of every two tokens, by the definition."""

    def step(prefix: Ids) -> list[tuple[int, float]]:
        temperature = request.sampling.temperature
        p = exact(pair, prefix, request.alpha, FEW, temperature)
        if request.sampling.top_p < 1:
            ranked = p.sort(descending=True)
            before = ranked.values.cumsum(-1) - ranked.values
            p[ranked.indices[before >= request.sampling.top_p]] = 0
            p /= p.sum()
        return [(i, float(p[i])) for i in p.nonzero().flatten().tolist()]

    chances: dict[Ids, float] = {}
    for first, p in step(request.prompt):
        if first in ends:
            chances[first,] = p
            continue
        for second, q in step((*request.prompt, first)):
            chances[first, second] = p * q
    return chances


PLAIN = asked(PROMPT, 0.3, max_tokens=2, support=FEW)
CUT = asked(PROMPT, 1.0, max_tokens=2, support=FEW, temperature=0.8, top_p=0.7)


@pytest.mark.parametrize(
    ("draft", "request_"),
    [(0, PLAIN), (2, PLAIN), (2, CUT)],
    ids=["stepwise", "drafted", "drafted, cut"],
)
async def test_two_tokens_are_distributed_as_they_should(
    text_pair: ServedPair, draft: int, request_: Request
) -> None:
    async with serving_engine(text_pair, draft=draft) as engine:
        ends = (await engine.pair()).decoding.eos_ids
        seen = await outcomes(engine, request_)
    chances = joint(text_pair.pair, request_, ends)
    assert not seen.keys() - chances.keys()
    observed = np.array([seen[outcome] for outcome in chances])
    p = np.array(list(chances.values()))
    often = p * RUNS >= 5
    cells = [*observed[often], observed[~often].sum()]
    expected = [*(p[often] * RUNS), p[~often].sum() * RUNS]
    if expected[-1] < 5:
        cells[-2:], expected[-2:] = [sum(cells[-2:])], [sum(expected[-2:])]
    assert stats.chisquare(cells, expected).pvalue > 0.01
    # Total variation within what as many independent draws would show.
    draws = np.random.default_rng(0).multinomial(RUNS, p / p.sum(), size=2000) / RUNS
    usual = np.quantile(np.abs(draws - p).sum(1) / 2, 0.995)
    assert np.abs(observed / RUNS - p).sum() / 2 < usual
