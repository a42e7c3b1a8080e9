"""Compiled steps give the tokens of plain ones, in few compilations."""

import gc
import logging
import weakref
from pathlib import Path
from typing import Any

import pytest

from inspect_lda.engines import choose, steps
from inspect_lda.engines.base import ScoreRequest
from inspect_lda.engines.doubled import DoubledLM, DoubledTrunkLM
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.steps import CompiledSteps
from inspect_lda.engines.transformers import PairDecoder, TransformersEngine
from inspect_lda.engines.trunk import TrunkLM
from inspect_lda.pair import Pair, PairSpec, clear_registry, load_pair
from tests.engines.requests import PROMPTS, request, run
from tests.engines.stepping import Counting, compiling, drive, requests, tokens
from tests.engines.test_trunk import adapted, four_layers
from tests.tiny import ARCHITECTURES, save_checkpoint, tiny_model, tiny_tokenizer

FAST = ("llama", "gemma2")
"""A plain architecture and one with everything; compiling takes seconds each."""
MIXED = [(4, 3), (1, 12), (11, 5), (7, 9), (3, 2), (14, 6)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PATIENCE", 0)


def saved(home: Path, arch: str = "llama", **settings: Any) -> Pair:
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(arch, seed=seed, **settings)
        save_checkpoint(home / name, model, tiny_tokenizer())
    spec = PairSpec(str(home / "after"), str(home / "before"), device="cpu")
    return load_pair(spec)


def shapes(decoder: PairDecoder) -> list[tuple[int, int]]:
    assert decoder.steps is not None
    return decoder.steps.shapes


@pytest.mark.parametrize(
    "arch",
    [
        pytest.param(arch, marks=[] if arch in FAST else [pytest.mark.slow])
        for arch in ARCHITECTURES
    ],
)
def test_every_architecture(arch: str, tmp_path: Path) -> None:
    pair, backend = saved(tmp_path, arch), Counting()
    asked = requests(MIXED)
    decoder = PairDecoder(compiling(pair), 3, backend)
    found = drive(decoder, asked, 3)
    assert tokens(found) == tokens(drive(PairDecoder(pair), asked, 3))
    assert shapes(decoder) == [(3, 256)]
    assert len(backend.graphs) == 2


def test_across_shapes_and_back(tmp_path: Path) -> None:
    pair, backend = saved(tmp_path, max_position_embeddings=600), Counting()
    # One row alone, then up to five with a prompt that needs 512 columns among them.
    asked = requests([(3, 30), (5, 4), (2, 2), (250, 12), (6, 9), (4, 3), (9, 20)])
    decoder = PairDecoder(compiling(pair), 5, backend)
    first = drive(decoder, asked[:1], 1)
    rows = first + drive(decoder, asked[1:], 5, joining=2) + drive(decoder, asked, 2)
    plain = PairDecoder(pair)
    expected = drive(plain, asked[:1], 1) + drive(plain, asked[1:], 5, joining=2)
    assert tokens(rows) == tokens(expected + drive(plain, asked, 2))
    assert shapes(decoder)[0] == (1, 256)
    assert {256, 512} <= {columns for _, columns in shapes(decoder)}
    assert len(backend.graphs) == 2 * len(shapes(decoder))


def test_evidence_is_that_of_a_plain_step(pair: Pair) -> None:
    asked = requests(MIXED)
    found = drive(PairDecoder(compiling(pair), 3, Counting()), asked, 3)
    for ours, theirs in zip(found, drive(PairDecoder(pair), asked, 3), strict=True):
        assert ours.log_q == pytest.approx(theirs.log_q, abs=1e-4)
        assert ours.log_p_before == pytest.approx(theirs.log_p_before, abs=1e-4)


@pytest.mark.parametrize(
    ("layers", "doubles", "kind", "parts"),
    [
        ([0, 1, 2, 3], True, DoubledLM, 1),
        pytest.param([2, 3], False, TrunkLM, 3, marks=pytest.mark.slow),
        ([2, 3], True, DoubledTrunkLM, 2),
    ],
)
def test_forms_of_adapters(
    layers: list[int],
    doubles: bool,
    kind: type,
    parts: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_checkpoint(tmp_path / "base", four_layers("llama"), tiny_tokenizer())
    adapted(four_layers("llama"), layers).save_pretrained(str(tmp_path / "adapter"))
    # Which one is faster is the machine's to say; both must be right.
    monkeypatch.setattr(choose, "_faster", lambda *both: both[doubles])
    pair = load_pair(
        PairSpec(str(tmp_path / "adapter"), str(tmp_path / "base"), device="cpu")
    )
    backend = Counting()
    decoder = PairDecoder(compiling(pair), 3, backend)
    assert type(decoder.model) is kind
    asked = requests(MIXED)
    expected = drive(PairDecoder(pair), asked, 3)
    assert tokens(drive(decoder, asked, 3)) == tokens(expected)
    assert len(backend.graphs) == parts * len(shapes(decoder))


def test_equal_weights_are_flat(tmp_path: Path) -> None:
    for name in ("after", "before"):
        save_checkpoint(tmp_path / name, tiny_model(seed=1), tiny_tokenizer())
    pair = load_pair(
        PairSpec(str(tmp_path / "after"), str(tmp_path / "before"), device="cpu")
    )
    rows = drive(PairDecoder(compiling(pair), 3, Counting()), requests(MIXED), 3)
    for row in rows:
        assert row.log_p_after == row.log_p_before


def test_cache_memory_stays_where_it_is(pair: Pair) -> None:
    """What a CUDA graph takes as it is, rather than copy it at every step."""
    backend = Counting()
    decoder = PairDecoder(compiling(pair), 3, backend)
    drive(decoder, requests(MIXED), 3)
    for graph in backend.graphs:
        inputs = [node for node in graph.graph.nodes if node.op == "placeholder"]
        moving = [
            node.meta["example_value"].numel()
            for node in inputs
            if "_dynamo_static_input_type" not in node.meta["tensor_dict"]
        ]
        assert sorted(moving) == [3, 3, 3 * 256]  # ids, positions and the mask


def test_rows_join_from_a_prefix_while_others_run(pair: Pair) -> None:
    """A prefill of one id looks like a step, and must not take the batch's place."""
    asked = requests([(9, 12), (6, 3), (8, 4)])
    longer = requests([(10, 5)])[0]
    prompt = (*asked[0].prompt, longer.prompt[-1])
    asked.append(type(longer)(prompt, 1.0, longer.sampling, max_tokens=6))
    found = drive(PairDecoder(compiling(pair), 3, Counting()), asked, 3)
    assert tokens(found) == tokens(drive(PairDecoder(pair), asked, 3))


def test_a_shape_is_compiled_once_it_lasts(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "PATIENCE", 16)
    backend = Counting()
    decoder = PairDecoder(compiling(pair), 32, backend)
    drive(decoder, requests([(3, 17)]), 1)
    assert shapes(decoder) == []
    asked = requests([(4, 30), (9, 25), (2, 28)])
    found = drive(decoder, asked, 3)
    assert shapes(decoder) == [(4, 256)]
    assert tokens(found) == tokens(drive(PairDecoder(pair), asked, 3))


def test_scores_between_steps(pair: Pair) -> None:
    question = ScoreRequest(PROMPTS[0], (7, 8, 9), (0.0, 1.0))
    answers, texts = [], []
    for decoder in (PairDecoder(pair), PairDecoder(compiling(pair), 3, Counting())):
        batch: RollingBatch[RowState] = RollingBatch(decoder, 3)
        batch.admit([decoder.row(one) for one in requests([(4, 9), (6, 9)])])
        for _ in range(3):
            batch.step()
        answers += decoder.score([question], batch.prefiller)
        batch.step()
        texts.append(tokens(batch.rows))
    assert texts[0] == texts[1]
    assert len(texts[0][0]) == 5
    for ours, theirs in zip(answers[0].log_q, answers[1].log_q, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.slow
def test_weights_are_freed(tmp_path: Path) -> None:
    pair = saved(tmp_path)
    decoder = PairDecoder(compiling(pair), 3, Counting())
    drive(decoder, requests(MIXED), 3)
    held = weakref.ref(next(pair.after.parameters()))
    del decoder, pair
    clear_registry()
    gc.collect()
    assert held() is None


@pytest.mark.slow
async def test_the_engine_with_the_real_compiler(
    spec: PairSpec, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [request(prompt, max_tokens=8) for prompt in PROMPTS]
    answers = []
    for compile_ in (False, True):
        engine = TransformersEngine(
            PairSpec(spec.after, spec.before, device="cpu", compile=compile_)
        )
        with caplog.at_level(logging.INFO, "inspect_lda"):
            try:
                answers.append(await run(engine, asked))
            finally:
                engine.close()
    assert [one.tokens for one in answers[0]] == [one.tokens for one in answers[1]]
    assert "compiling the decode step for 4 rows x 256 columns" in caplog.text
    assert "not compiled" not in caplog.text


def test_steps_are_plain_unless_asked_for(pair: Pair) -> None:
    assert PairDecoder(pair).steps is None
    assert isinstance(PairDecoder(compiling(pair)).steps, CompiledSteps)


def test_two_batches_take_turns(pair: Pair) -> None:
    asked = [requests(lengths) for lengths in ([(4, 9), (6, 9)], [(3, 9)])]
    decoder = PairDecoder(compiling(pair), 3, Counting())
    batches: list[RollingBatch[RowState]] = [RollingBatch(decoder, 3) for _ in asked]
    for batch, one in zip(batches, asked, strict=True):
        batch.admit([decoder.row(each) for each in one])
    for turn in range(8):
        # Twice each: a cache that steps once could be a prefill's.
        batches[turn // 2 % 2].step()
    plain = PairDecoder(pair)
    for batch, one in zip(batches, asked, strict=True):
        expected: RollingBatch[RowState] = RollingBatch(plain, 3)
        expected.admit([plain.row(each) for each in one])
        for _ in range(4):
            expected.step()
        assert tokens(batch.rows) == tokens(expected.rows)
    assert decoder.steps is not None
    assert decoder.steps.shapes == [(2, 256)]
