"""Where `before` does not list what `after` finds likely: widened, floored, or told."""

import pytest

from inspect_lda.engines.base import EngineError
from tests.engines.api.serving import K, asked, serving_engine, supported
from tests.served.needle import NeedlePair
from tests.served.servers import ServedPair

SHORT = {"before_top_k": 30}


async def test_widening_changes_nothing_but_the_requests(
    needle_served: ServedPair, needle_files: NeedlePair
) -> None:
    request = asked(needle_files.prompts[0], 0.5, seed=4, max_tokens=6)
    async with serving_engine(needle_served) as engine:
        await engine.generate(asked(needle_files.prompts[0], max_tokens=1))
        wide = await engine.generate(request)
    async with serving_engine(needle_served, **SHORT) as engine:
        await engine.generate(asked(needle_files.prompts[0], max_tokens=1))
        widened = await engine.generate(request)
    assert widened.tokens == wide.tokens
    assert wide.cost is not None
    assert widened.cost is not None
    assert wide.cost.requests == 12 < widened.cost.requests <= 18
    assert supported(widened).imputed_tokens == 0


async def test_a_floor_is_a_lower_bound_for_the_needle(
    needle_served: ServedPair, needle_files: NeedlePair
) -> None:
    prompt, first = needle_files.prompts[0], needle_files.phrase[0]
    chances = {}
    for missing in ("widen", "floor"):
        async with serving_engine(needle_served, missing=missing, **SHORT) as engine:
            pair = await engine.pair()
            [sight] = await pair.view(asked(prompt)).look([prompt])
            column = sight.support.ids.index(first)
            a, b = sight.support.after[column], sight.support.before[column]
            chances[missing] = a + 1.0 * (a - b)
            assert (first in sight.support.imputed) == (missing == "floor")
            rollout = await engine.generate(asked(prompt, 0.3, seed=1, max_tokens=20))
    assert chances["floor"] < chances["widen"] - 1
    found = supported(rollout)
    assert 0 < found.imputed_mass < 1
    assert 0 <= found.imputed_tokens <= 20


async def test_an_error_names_what_was_missing_and_the_ways_out(
    needle_served: ServedPair, needle_files: NeedlePair
) -> None:
    prompt = needle_files.prompts[0]
    async with serving_engine(needle_served, missing="error", **SHORT) as engine:
        with pytest.raises(EngineError) as raised:
            await engine.generate(asked(prompt))
    for part in (
        f"of the {K} ids most likely under after",
        "among its 30 most likely",
        "-M missing=widen",
        "-M before_top_k=",
        "-M support=",
        "-M missing=floor",
    ):
        assert part in str(raised.value)


async def test_a_list_that_can_not_be_longer_is_an_error(
    needle_served: ServedPair, needle_files: NeedlePair
) -> None:
    prompt = needle_files.prompts[0]
    async with serving_engine(needle_served) as engine:
        side = (await engine.pair()).sides[1].side
        limited = side.can.model_copy(update={"max_top": 40})
        object.__setattr__(side, "can", limited)
        with pytest.raises(EngineError, match="among its 40 most likely") as raised:
            await engine.generate(asked(prompt))
    assert "missing=widen" not in str(raised.value)
