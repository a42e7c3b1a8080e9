"""The engine on a server of its own says what the transformers engine says."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inspect_lda.engines.api.errors import EndpointUnavailable
from inspect_lda.engines.base import Request, Sampling, Scored, ScoreRequest
from inspect_lda.engines.server.engine import ServerEngine
from inspect_lda.engines.server.opening import ServedPair
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.errors import LDAError
from tests.engines.vllm import drawer
from tests.engines.vllm.oracle import Written
from tests.engines.vllm.served import cached_in, kill_server, servers_of_ours, spec_of
from tests.tiny import EOS

pytestmark = pytest.mark.vllm

PROMPT = tuple(range(20, 44))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where logs and directories are."""
    pytest.importorskip("vllm")
    folder = tmp_path_factory.mktemp("served")
    with cached_in(folder):
        yield folder


@pytest.fixture
def engine(home: Path, llama: Written) -> Iterator[ServerEngine]:
    """An engine; the server behind it is that of the whole module."""
    found = ServerEngine(spec_of(llama))
    yield found
    found.close()


async def test_tokens_and_evidence(engine: ServerEngine, llama: Written) -> None:
    asked = drawer.requests(24, seed=3)
    found = await asyncio.gather(*map(engine.generate, asked))
    right = await asyncio.to_thread(drawer.expected, llama.spec, asked)
    report = drawer.compare(llama, asked, found, right)
    assert (report.tokens > 200, report.mismatches) == (True, 0)
    assert report.error < 1e-3
    assert report.extreme_error < 2e-3
    for got, want in zip(found, right, strict=True):
        assert got.evidence is not None
        assert want.evidence is not None
        assert got.evidence.precision == "float32"
        assert got.evidence.masked_ids == want.evidence.masked_ids
    assert len(servers_of_ours()) == 1


async def test_what_ends_a_text(engine: ServerEngine, llama: Written) -> None:
    tokenizer = llama.pair.tokenizer
    long = Request(PROMPT, 0.5, Sampling(seed=5), max_tokens=40)
    tokens = (await engine.generate(long)).tokens
    text = str(tokenizer.decode(list(tokens)))
    asked = [
        replace(long, stop=(text[6:9],)),
        replace(long, prompt=PROMPT * 10, max_tokens=100),
        replace(long, prompt=PROMPT * 11),
        replace(long, sampling=Sampling(logit_bias={EOS: 100.0})),
        replace(long, evidence="none", alpha=0.0),
    ]
    found = await asyncio.gather(*map(engine.generate, asked))
    right = await asyncio.to_thread(drawer.expected, llama.spec, asked)
    assert [(one.tokens, one.stop_reason) for one in found[3:]] == [
        (one.tokens, one.stop_reason) for one in right[3:]
    ]
    # The server's window is shorter than the model's.
    assert (found[2].tokens, found[2].stop_reason) == ((), "model_length")
    assert (found[0].tokens, found[0].stop_reason) == (right[0].tokens, "stop")
    assert found[1].stop_reason == "model_length"
    assert len(found[1].tokens) == 256 - len(PROMPT) * 10
    assert found[4].evidence is None


async def test_scores(engine: ServerEngine, llama: Written) -> None:
    asked = [
        ScoreRequest(PROMPT, (30, 31, 32, 33), (0.0, 0.5, -1.0, 3.0)),
        ScoreRequest(PROMPT[:3], (40,), (1.0,), temperature=0.7, support=8),
        # More than a row of logits holds.
        ScoreRequest(PROMPT, (41, 42), (1.0,), curves=tuple(i / 8 for i in range(60))),
    ]
    found = await asyncio.gather(*map(engine.score, asked))
    right = await _scored(llama, asked)
    for got, want in zip(found, right, strict=True):
        names = ("log_q", "log_p_after", "log_p_before")
        for name in names:
            assert drawer.apart(getattr(got, name), getattr(want, name)) < 1e-3
        assert (got.curves is None) == (want.curves is None)
        if got.curves is not None and want.curves is not None:
            assert drawer.apart(vars(got.curves), vars(want.curves)) < 1e-3


async def _scored(llama: Written, asked: list[ScoreRequest]) -> list[Scored]:
    other = TransformersEngine(llama.spec)
    try:
        return list(await asyncio.gather(*map(other.score, asked)))
    finally:
        other.close()


async def test_what_a_row_of_logits_can_not_do(engine: ServerEngine) -> None:
    counted = Sampling(frequency_penalty=0.5)
    with pytest.raises(LDAError, match="frequency_penalty"):
        await engine.generate(Request(PROMPT, 1.0, counted, 4))
    assert (await engine.generate(Request(PROMPT, 1.0, Sampling(), 4))).tokens


async def test_a_killed_server_is_started_again(engine: ServerEngine) -> None:
    asked = Request(PROMPT, 0.5, Sampling(seed=9, logit_bias={EOS: -100.0}), 200)
    before: ServedPair = await engine.pair()
    running = [asyncio.ensure_future(engine.generate(asked)) for _ in range(8)]
    await asyncio.sleep(0.3)
    kill_server()
    lost = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(one, EndpointUnavailable) for one in lost), lost
    assert before.owned is not None
    told = str(lost[0])
    for part in ("ended while it served", str(before.owned.log), "starts it again"):
        assert part in told
    again = await engine.generate(asked)
    assert len(again.tokens) == 200
    after = await engine.pair()
    assert after.owned is not before.owned
    assert len(servers_of_ours()) == 1
