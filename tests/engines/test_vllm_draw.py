"""The wire of a pair that draws: what was asked and what is said, bit for bit."""

import json
import math
import struct
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from inspect_lda.engines.base import (
    EngineError,
    Nets,
    Request,
    Sampling,
    ScoreRequest,
)
from inspect_lda.engines.vllm import record
from inspect_lda.engines.vllm.answer import FIELDS
from inspect_lda.engines.vllm.draw import (
    DRAW_KEY,
    WRONG_START,
    Draw,
    Drawn,
    columns,
    draw_of,
    draw_of_score,
    read_step,
    request_draw,
    scored_of,
    write_refusal,
    write_step,
)
from inspect_lda.errors import LDAError

VOCAB = 512
PLAIN = Request((5, 6, 7), 0.5, Sampling(seed=3), 8)
FULL = replace(
    PLAIN,
    sampling=Sampling(0.7, 40, 0.9, 0.01, 2**63 - 1, logit_bias={9: -1.5, 0: 2.0}),
    support=64,
    nets=Nets(max_kl_per_token=2.0, alpha_schedule=((0, 1.0), (4, 0.5))),
    placebo=True,
    top_logprobs=9,
)
SCORE = ScoreRequest((5, 6), (7, 8, 9), (0.0, 0.5, 3.0), 0.8, nets=Nets(first_k=2))
REPLAY = replace(SCORE, sampling=Sampling(presence_penalty=1.0), curves=(0.0, 1.0))
ODD = (-math.inf, 0.0, -0.0, 1e-45, -1e-38, 3.4028235e38, -100.0, math.inf)


def floats(numbers: np.random.Generator, count: int) -> tuple[float, ...]:
    """Any float32 but NaN, the odd ones often."""
    bits = numbers.integers(0, 2**32, count, dtype=np.uint32).view(np.float32)
    values = np.where(np.isnan(bits), np.float32(1.5), bits)
    odd = np.array(ODD, np.float32)[numbers.integers(0, len(ODD), count)]
    return tuple(np.where(numbers.random(count) < 0.3, odd, values).tolist())


def drawn(draw: Draw, token: int, numbers: np.random.Generator) -> Drawn:
    """An answer of random numbers, 0 where nothing was asked."""
    given = draw.given
    zero = {"tail", "lost"} if not draw.support or given else set()
    zero |= {"acted", "dropped"} if not draw.nets.nets().settings() or given else set()
    values = zip(FIELDS, floats(numbers, len(FIELDS)), strict=True)
    found = tuple(0.0 if name in zero else value for name, value in values)
    if given is None:
        ids = numbers.integers(0, VOCAB, draw.top).tolist()
        top = tuple((one, *floats(numbers, 3)) for one in ids)
        also = floats(numbers, len(draw.also))
        return Drawn(token, found, top, also)
    return Drawn(
        token,
        found if given.replay else (),
        log_q=floats(numbers, len(given.alphas)),
        ends=floats(numbers, 2),
        curves=tuple(floats(numbers, 3) for _ in given.curves),
    )


def served(logits: dict[int, float], token: int) -> dict[int, float]:
    """The log-probabilities of a row, as vLLM computes and returns them."""
    row = torch.full((VOCAB,), -torch.inf)
    row[token] = 0.0
    row[list(logits)] = torch.tensor(list(logits.values()))
    assert int(row.argmax()) == token
    logprobs: list[float] = row.log_softmax(-1).tolist()
    # An HTTP answer has no infinity: vLLM puts -9999 there.
    heard: list[float] = json.loads(json.dumps([max(x, -9999.0) for x in logprobs]))
    return dict(enumerate(heard))


DRAWS = {
    "plain": draw_of(PLAIN),
    "full": draw_of(FULL),
    "also": draw_of(PLAIN).model_copy(update={"also": (0.0, 1.0, 3.0)}),
    "score": draw_of_score(SCORE),
    "replay": draw_of_score(REPLAY),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_what_is_said_comes_back_bit_for_bit(draw: Draw) -> None:
    numbers = np.random.default_rng(5)
    for token in (0, 1, 5, 11, 100, *numbers.integers(0, VOCAB, 60).tolist()):
        said = drawn(draw, token, numbers)
        logits = write_step(draw, said)
        assert set(logits) | {token} <= {*columns(draw), token}
        heard = read_step(draw, token, served(logits, token))
        assert list(map(_bits, heard)) == list(map(_bits, said))


def _bits(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_bits, value))
    # 0.0 == -0.0, and here it is not.
    return struct.pack("<f", value) if isinstance(value, float) else value


def test_no_possible_token_is_nan() -> None:
    draw = DRAWS["full"]
    said = Drawn(3, (math.nan,) * len(FIELDS), ((0, *(math.nan,) * 3),) * draw.top)
    heard = read_step(draw, 3, served(write_step(draw, said), 3))
    assert all(map(math.isnan, heard.values))


def test_a_refusal_has_its_reason() -> None:
    for draw in DRAWS.values():
        logits = write_refusal(draw, 7, WRONG_START)
        with pytest.raises(EngineError, match="not the length of the prompt"):
            read_step(draw, 7, served(logits, 7))


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_garbage_is_refused(draw: Draw) -> None:
    numbers = np.random.default_rng(9)
    token = 300
    good = served(write_step(draw, drawn(draw, token, numbers)), token)
    read_step(draw, token, good)
    plain = torch.randn(VOCAB).log_softmax(-1)
    bad = [
        dict(enumerate(plain.tolist())),
        {},
        {key: value for key, value in good.items() if key != columns(draw)[1]},
        {key: round(value, 2) for key, value in good.items()},
        {**good, 2: good[2] + record.UNIT},
        {**good, 2: math.nan},
        {**good, 1: good[2], 2: good[1]},
    ]
    for logprobs in bad:
        with pytest.raises(EngineError, match="did not answer"):
            read_step(draw, token, logprobs)
    with pytest.raises(EngineError, match="did not answer"):
        read_step(draw, token + 1, good)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_request_travels_whole(draw: Draw) -> None:
    extra = draw.extra_args(0.5)
    assert extra["lda_alpha"] == 0.5
    assert request_draw(json.loads(json.dumps(extra))) == draw


def test_a_request_means_what_was_asked() -> None:
    heard = request_draw(draw_of(FULL).extra_args(0.5))
    assert heard is not None
    assert heard.sampling == FULL.sampling
    assert heard.nets.nets() == FULL.nets
    assert (heard.start, heard.support, heard.placebo, heard.top) == (3, 64, True, 9)
    assert request_draw(None) is request_draw({"lda_alpha": 1}) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "Invalid JSON"),
        ("[]", "object"),
        ("{}", "start={}: Field required"),
        ('{"start": true}', "start=True"),
        ('{"start": 0}', "greater than or equal to 1"),
        ('{"start": 1, "sampling": {"temperature": NaN}}', "finite"),
        ('{"start": 1, "sampling": {"temperature": -1.0}}', "temperature=-1.0"),
        ('{"start": 1, "sampling": {"top_p": 2.0}}', "top_p=2.0 is not from 0 to 1"),
        ('{"start": 1, "sampling": {"tmp": 2.0}}', "Unexpected keyword"),
        ('{"start": 1, "sampling": {"presence_penalty": 1.0}}', "text so far"),
        ('{"start": 1, "sampling": {"logit_bias": {"-1": 1.0}}}', "ids are from 0"),
        ('{"start": 1, "nets": {"plausibility": 2.0}}', "nets.plausibility=2.0"),
        ('{"start": 1, "also": [5000.0]}', "beyond 1000"),
        ('{"start": 1, "given": {"ids": []}}', "given.ids"),
        ('{"start": 1, "given": {"ids": [-4]}}', "given.ids.0=-4"),
        ('{"start": 1, "top": 60}', "columns of a row"),
    ],
)
def test_a_bad_request_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        request_draw({DRAW_KEY: text})
    with pytest.raises(ValueError, match="JSON text"):
        request_draw({DRAW_KEY: {"start": 1}})


def test_what_a_row_cannot_honour_is_refused() -> None:
    penal = replace(PLAIN, sampling=Sampling(frequency_penalty=0.5))
    with pytest.raises(LDAError, match="frequency_penalty"):
        draw_of(penal)
    with pytest.raises(LDAError, match="top_logprobs"):
        draw_of(replace(PLAIN, top_logprobs=40))
    assert len(columns(draw_of(replace(FULL, top_logprobs=20)))) <= 128


def test_scores_are_put_together() -> None:
    draw = draw_of_score(REPLAY)
    numbers = np.random.default_rng(2)
    said = [drawn(draw, token, numbers) for token in REPLAY.continuation]
    scored = scored_of(draw, said)
    assert scored.log_q == tuple(
        tuple(one.log_q[alpha] for one in said) for alpha in range(3)
    )
    assert scored.log_p_after == tuple(one.ends[0] for one in said)
    assert scored.steps == tuple(one.values for one in said)
    assert scored.curves is not None
    assert scored.curves.surprise[1] == tuple(one.curves[1][1] for one in said)
    assert scored_of(draw_of_score(SCORE), [said[0]._replace(values=())]).steps == ()


def test_the_wire_needs_neither_torch_nor_vllm() -> None:
    code = (
        "import sys, inspect_lda.engines.vllm.draw; "
        "sys.exit(bool({'torch', 'vllm', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
