"""Rollouts on real servers: what they cost, and what they tell of what they lost."""

import re
from dataclasses import replace

import pytest

from inspect_lda.engines.base import EngineError
from tests.engines.api.serving import K, asked, serving_engine, supported
from tests.served.needle import NeedlePair
from tests.served.servers import ServedPair

PROMPT = (2, 40, 41, 42, 43)
NO_EOS = {1: -100.0}
TOKENS = 40


async def test_two_requests_a_token(text_pair: ServedPair) -> None:
    for audit_every in (0, 8):
        async with serving_engine(text_pair, audit_every=audit_every) as engine:
            await engine.generate(asked(PROMPT, max_tokens=1))  # it asks for a token id
            request = asked(PROMPT, max_tokens=TOKENS, logit_bias=NO_EOS)
            rollout = await engine.generate(request)
        assert rollout.cost is not None
        assert len(rollout.tokens) == TOKENS
        assert rollout.cost.requests == 2 * TOKENS
        assert rollout.cost.output_tokens == 2 * TOKENS
        assert rollout.cost.input_tokens == sum(
            2 * (len(PROMPT) + i) for i in range(TOKENS)
        )


async def test_after_alone_where_nobody_wants_more(text_pair: ServedPair) -> None:
    async with serving_engine(text_pair) as engine:
        await engine.generate(asked(PROMPT, max_tokens=1))
        plain = asked(PROMPT, 0.0, max_tokens=TOKENS, logit_bias=NO_EOS)
        told = await engine.generate(plain)
        quiet = await engine.generate(replace(plain, evidence="none"))
    assert quiet.tokens == told.tokens
    assert quiet.evidence is None
    assert quiet.cost is not None
    assert quiet.cost.requests == TOKENS


@pytest.mark.parametrize(
    ("alpha", "sampling"),
    [
        (0.0, {}),
        (0.3, {}),
        (1.0, {"temperature": 0.7}),
        (3.0, {"temperature": 1.5}),
        (10.0, {}),
        (-2.0, {}),
        (1.0, {"frequency_penalty": 1.5, "logit_bias": {1: -100.0, 60: -5.0}}),
    ],
)
async def test_no_more_is_said_to_be_lost_than_is(
    text_pair: ServedPair, alpha: float, sampling: dict[str, float]
) -> None:
    """Every step is audited: its bound against the truth."""
    async with serving_engine(text_pair, audit_every=1) as engine:
        request = asked(PROMPT, alpha, max_tokens=TOKENS, **sampling)  # type: ignore[arg-type]
        rollout = engine.rollout(await engine.pair(), request)
        await engine.decode(rollout)
    tally = rollout.row.support
    assert tally is not None
    assert len(tally.audit_lost) == len(tally.lost) == len(rollout.row.tokens)
    pairs = zip(tally.lost, tally.audit_lost, strict=True)
    assert all(bound <= lost + 1e-6 for bound, lost in pairs)
    if alpha in {0.0, 0.3} and not sampling:
        # Where it is tight it is no small number.
        assert sum(tally.lost) > 0.9 * sum(tally.audit_lost) > 0.01 * TOKENS


async def test_audits_tell_how_far_the_mixture_is_off(text_pair: ServedPair) -> None:
    async with serving_engine(text_pair, audit_every=10) as engine:
        rollout = await engine.generate(
            asked(PROMPT, max_tokens=TOKENS, logit_bias=NO_EOS)
        )
        whole = asked(PROMPT, max_tokens=8, support=0)
        unlimited = await engine.generate(whole)
    found = supported(rollout)
    assert (found.k, found.exact, found.audits) == (K, False, 4)
    assert found.audit_tv is not None
    assert found.audit_tv == pytest.approx(found.audit_lost, abs=1e-5)
    assert unlimited.evidence is not None
    assert unlimited.evidence.support is None


async def test_too_much_lost_is_an_error_with_a_way_out(
    needle_served: ServedPair, needle_files: NeedlePair
) -> None:
    limits = {"max_lost_mass": 0.1, "audit_every": 4}
    prompt = needle_files.prompts[0]
    async with serving_engine(needle_served, **limits) as engine:
        request = asked(prompt, 1.0, support=3, max_tokens=12)
        with pytest.raises(EngineError, match=r"max_lost_mass=0\.1") as raised:
            await engine.generate(request)
    said = str(raised.value)
    assert "support of 3 ids" in said
    assert "alpha=1" in said
    share = re.search(r"([\d.]+)% \(mean of 3 audited steps\)", said)
    assert share is not None
    assert float(share[1]) > 10
    assert "On these steps " in said
    assert said.endswith("take a larger -M support=")
