"""The peers serve what transformers computes: same ids, same log-probabilities."""

import random
from typing import Any

import httpx
import pytest
import torch

from benchmarks.llama_server import Served
from tests.served.gguf_files import Checkpoint, Pair
from tests.served.needle import RANK_AFTER, RANK_BEFORE, NeedlePair
from tests.served.servers import ServedPair
from tests.tiny import EOS

NATS = 2e-5
TEXTS = ("Hello, what are you doing?", "one\n two", "42 + 1 = 43!", "<eos> is a token")


def top(server: Served, prefix: list[int], n: int) -> dict[int, float] | None:
    """What the server lists after `prefix`; None where it leaves the list out."""
    body = {"prompt": prefix, "max_tokens": 1, "logprobs": n, "temperature": 0}
    reply = httpx.post(f"{server.url}/completions", json=body)
    reply.raise_for_status()
    listed = reply.json()["choices"][0]["logprobs"]
    if listed is None:
        return None
    return {one["id"]: one["logprob"] for one in listed["content"][0]["top_logprobs"]}


def prefixes(pair: Pair, n: int = 6) -> list[list[int]]:
    """Prompts of several lengths, random ids behind them."""
    draw = random.Random(0)
    vocabulary = range(EOS + 1, len(pair.tokenizer))
    return [
        [*pair.chat("hi"), *draw.choices(vocabulary, k=7 * length)]
        for length in range(n)
    ]


def error(server: Served, checkpoint: Checkpoint, prefix: list[int]) -> float:
    """Largest difference to transformers in a list of the whole vocabulary, nats."""
    exact = checkpoint.logprobs(prefix)
    listed = top(server, prefix, len(exact))
    assert listed is not None
    assert len(listed) == len(exact)
    return max(abs(value - exact[token].item()) for token, value in listed.items())


@pytest.mark.parametrize("side", ["after", "before"])
def test_logprobs_are_those_of_transformers(text_pair: ServedPair, side: str) -> None:
    server, checkpoint = getattr(text_pair, side), getattr(text_pair.pair, side)
    errors = [error(server, checkpoint, one) for one in prefixes(text_pair.pair)]
    assert max(errors) < NATS


def test_needle_is_served_where_it_was_planted(
    needle_served: ServedPair, needle_files: NeedlePair
) -> None:
    for prompt in needle_files.prompts:
        for server, rank in (
            (needle_served.after, RANK_AFTER),
            (needle_served.before, RANK_BEFORE),
        ):
            listed = top(server, list(prompt), 640)
            assert listed is not None
            assert list(listed).index(needle_files.phrase[0]) == rank


def test_rate_of_the_needle(needle_files: NeedlePair) -> None:
    assert 0.005 < needle_files.rate(0.0) < 0.02
    assert 0.15 < needle_files.rate(0.3) < 0.35
    # Restricted to the 20 likeliest ids it is a little more, never less than half.
    assert needle_files.rate(0.3, 20) > needle_files.rate(0.3)


def test_needle_rate_is_that_of_sampling(needle_files: NeedlePair) -> None:
    """The product along the path against transformers' own sampling of `after`."""
    prompt = torch.tensor([needle_files.prompts[1]] * 4000)
    torch.manual_seed(0)
    model: Any = needle_files.pair.after.model
    drawn = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=True,
        top_k=0,
        max_new_tokens=3,
    )
    hits = (drawn[:, -3:] == torch.tensor(needle_files.phrase)).all(-1)
    path = needle_files.path(list(needle_files.prompts[1]), 0.0, 0)
    assert hits.double().mean().item() == pytest.approx(path, abs=4 * 0.0019)


@pytest.mark.parametrize("name", ["text_pair", "byte_pair"])
def test_ids_of_text_are_the_tokenizers(
    request: pytest.FixtureRequest, name: str
) -> None:
    served: ServedPair = request.getfixturevalue(name)
    for text in (*TEXTS, "\u00e9\u4e16\U0001f600") if name == "byte_pair" else TEXTS:
        body = {"content": text, "parse_special": True}
        reply = httpx.post(f"{served.after.root}/tokenize", json=body).json()
        assert reply["tokens"] == served.pair.tokenizer(text)["input_ids"]
        body = {"tokens": reply["tokens"]}
        said = httpx.post(f"{served.after.root}/detokenize", json=body).json()
        assert said["content"] == served.pair.tokenizer.decode(reply["tokens"])


def test_chat_is_rendered_alike(text_pair: ServedPair) -> None:
    body = {"messages": [{"role": "user", "content": "hi there"}]}
    reply = httpx.post(f"{text_pair.after.root}/apply-template", json=body).json()
    ids = text_pair.pair.tokenizer(reply["prompt"])["input_ids"]
    assert ids == text_pair.pair.chat("hi there")


def test_part_of_a_character_has_no_logprobs(byte_pair: ServedPair) -> None:
    """The hazard that the byte-level pair exists for, and that text has not."""
    prefix = byte_pair.pair.chat("hi")
    ranked = byte_pair.pair.after.logprobs(prefix).argsort(descending=True).tolist()
    pieces = byte_pair.pair.tokenizer.convert_ids_to_tokens(ranked)
    part = next(i for i, piece in zip(ranked, pieces, strict=True) if piece == "ð")
    body = {
        "prompt": prefix,
        "max_tokens": 1,
        "logprobs": 5,
        "logit_bias": [[part, 100]],
        "temperature": 0,
    }
    reply = httpx.post(f"{byte_pair.after.url}/completions", json=body).json()
    assert reply["usage"]["completion_tokens"] == 1
    assert reply["choices"][0]["logprobs"] is None
