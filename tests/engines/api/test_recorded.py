"""Servers that cannot be used, as recorded: each is refused, and the reason named."""

import json
from collections.abc import Sequence

import pytest

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.probe import probe, verdict
from tests.served.replay import FOLDER, RECORDINGS, replaying

MODELS = {
    "llama-cpp-python": "model.gguf",
    "text-keys": "tiny",
    "transformers-serve": "tiny",
}
# What is said of prompts as token ids, and of prompts as text with a tokenizer.
REASONS = {
    "llama-cpp-python": ("HTTP 422", "which 0 tokens have"),
    "text-keys": ("names tokens by text", "which 0 tokens have"),
    "transformers-serve": ("must be a string", "without log-probabilities"),
}


class Fixed:
    """A tokenizer to which every text is as many tokens as the recorded one."""

    def __init__(self, length: int) -> None:
        self._ids = tuple(range(length))

    def encode(self, text: str) -> Ids:
        """The same ids for every text."""
        return self._ids

    def decode(self, ids: Sequence[int]) -> str:
        """Texts that no server has heard of."""
        return "/".join(map(str, ids))

    def __len__(self) -> int:
        return 300


def recorded_length(name: str) -> int:
    """Prompt tokens of the recorded answer to a text."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    found = [
        one["body"]["usage"]["prompt_tokens"]
        for one in json.loads(text)["exchanges"]
        if "usage" in one["body"] and "echo" not in one.get("when", {})
    ]
    return int(found[0])


def test_every_recording_says_where_it_is_from() -> None:
    assert set(RECORDINGS) == REASONS.keys()
    for name in RECORDINGS:
        content = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert content["server"]
        assert content["how"]
        assert content["recorded"] >= "2026-11-22"


@pytest.mark.parametrize("name", RECORDINGS)
async def test_token_ids_are_refused(name: str) -> None:
    with replaying(name) as server:
        able = await probe(Endpoint(server.url, MODELS[name], retries=0))
        assert any(line == "POST /v1/completions" for line, _ in server.asked)
    assert not able.exact
    assert REASONS[name][0] in verdict(able)


@pytest.mark.parametrize("name", RECORDINGS)
async def test_text_does_not_help(name: str) -> None:
    tokenizer = Fixed(recorded_length(name))
    with replaying(name) as server:
        endpoint = Endpoint(server.url, MODELS[name], retries=0)
        able = await probe(endpoint, "text-completions", tokenizer)
    assert not able.exact
    assert REASONS[name][1] in verdict(able)


async def test_a_known_name_is_refused_unasked() -> None:
    with replaying("transformers-serve") as server:
        able = await probe(Endpoint(server.url, "tiny"), "transformers-serve")
        assert server.asked == []
    assert not able.exact
    assert "answers 200 without" in verdict(able)
