"""Alpha 0 without evidence is `after` alone; everything else needs both checkpoints."""

from dataclasses import replace

import pytest

from inspect_lda.engines.base import Sampling
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.evidence import EvidenceLevel
from tests.engines.requests import PROMPTS, request, run


@pytest.mark.parametrize(
    ("alpha", "level", "asked"),
    [
        (0.0, "none", False),
        (0.0, "summary", True),
        (1.0, "none", True),
        (-1.0, "none", True),
    ],
)
async def test_before_is_asked_only_where_its_answer_is_used(
    alpha: float,
    level: EvidenceLevel,
    asked: bool,
    engine: TransformersEngine,
) -> None:
    pair = await engine.pair()
    wanted = [
        request(prompt, alpha, 9, Sampling(seed=seed))
        for seed, prompt in enumerate(PROMPTS)
    ]
    full = await run(engine, wanted)
    calls: list[int] = []
    hook = pair.before.register_forward_hook(lambda *_: calls.append(1))
    try:
        got = await run(engine, [replace(one, evidence=level) for one in wanted])
    finally:
        hook.remove()
    assert [one.tokens for one in got] == [one.tokens for one in full]
    assert bool(calls) is asked
    assert all((one.evidence is None) is (level == "none") for one in got)


async def test_kinds_of_requests_run_side_by_side(engine: TransformersEngine) -> None:
    plain = request(PROMPTS[0], 0.0, 12, Sampling(seed=1))
    other = request(PROMPTS[1], 2.0, 12, Sampling(seed=2))
    lone = replace(plain, evidence="none")
    mixed = await run(engine, [plain, lone, other, replace(other, evidence="none")])
    assert mixed[0].tokens == mixed[1].tokens
    assert mixed[2].tokens == mixed[3].tokens
