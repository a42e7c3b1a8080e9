"""The shapes of answers of servers that do not run here.

These tests say that an answer is read as its server means it, not that a server
answers so: vLLM's were recorded, SGLang's and Fireworks' follow their source code.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from inspect_lda.engines.api.dialect import Capabilities
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import AnswerError, ShortList
from inspect_lda.engines.api.wire import speak
from inspect_lda.engines.api.wire.base import Wire

VLLM = json.loads(
    Path(__file__).with_name("recorded_vllm.json").read_text(encoding="utf-8")
)


class Recorded(Endpoint):
    """Gives back one answer, and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        super().__init__("http://recorded:1", "m")
        self.answer = answer
        self.bodies: list[Mapping[str, Any]] = []

    @override
    async def post(self, route: str, body: dict[str, Any]) -> Any:
        self.bodies.append(body)
        return self.answer


def wire_on(answer: Any, dialect: str, **able: Any) -> tuple[Wire, Recorded]:
    """A dialect that will read this answer."""
    endpoint = Recorded(answer)
    seen = {"max_top": 1000, "token_ids": True, "many_prompts": True, "exact": True}
    capabilities = Capabilities(dialect=dialect, model="m", **(seen | able))
    return speak(endpoint, capabilities), endpoint


def sglang(tops: list[Any], given: list[Any] | None = None) -> dict[str, Any]:
    """One result of SGLang 0.5: entries are (log-probability, id, text)."""
    said = {
        "prompt_tokens": 3,
        "finish_reason": {"type": "length", "length": len(tops)},
        "output_token_logprobs": [one[0] for one in tops],
        "output_top_logprobs": tops,
    }
    if given is not None:
        said["output_token_ids_logprobs"] = given
    return {"text": "x", "meta_info": said}


async def test_vllm_lists_the_sampled_token_out_of_turn() -> None:
    wire, endpoint = wire_on(VLLM["many"], "vllm")
    one, two = await wire.top([(2, 40, 41), (7,)], 3)
    assert list(one.logprobs) == [232, 39, 263]
    assert list(two.logprobs) == [1, 32, 244]
    [body] = endpoint.bodies
    assert body["prompt"] == [[2, 40, 41], [7]]
    assert body["return_tokens_as_token_ids"] is body["return_token_ids"] is True
    assert (body["logprobs"], body["top_k"], body["min_p"]) == (3, 0, 0.0)


async def test_vllm_prompts_that_were_read_differently_are_refused() -> None:
    wire, _ = wire_on(VLLM["many"], "vllm")
    with pytest.raises(AnswerError, match="other prompt tokens than were sent"):
        await wire.top([(2, 40, 42), (7,)], 3)


async def test_vllm_given_ids() -> None:
    wire, endpoint = wire_on(VLLM["given"], "vllm", scores_ids=128)
    [found] = await wire.at([(2, 40, 41)], [(300, 5, 9)], 20)
    assert (found.top, list(found.logprobs)) == (0, [300, 5, 9])
    assert found.logprobs[5] == -9.186429977416992
    assert endpoint.bodies[0]["logprob_token_ids"] == [5, 9, 300]
    with pytest.raises(AnswerError, match=r"left out 1 of 2 ids.*the first is 6"):
        await wire.at([(2, 40, 41)], [(5, 6)], 20)


async def test_vllm_asks_for_all_by_its_number() -> None:
    answer = {**VLLM["many"], "choices": VLLM["many"]["choices"][:1]}
    wire, endpoint = wire_on(answer, "vllm", max_top=None)
    with pytest.raises(AnswerError, match="whole vocabulary sum to 0"):
        await wire.top([(2, 40, 41)], None)
    assert endpoint.bodies[0]["logprobs"] == -1


async def test_tokens_named_by_text_are_never_ids() -> None:
    wire, _ = wire_on(VLLM["text"], "openai-compatible")
    with pytest.raises(AnswerError, match="names tokens by text"):
        await wire.top([(2, 40, 41)], 3)


async def test_a_list_that_is_too_short_names_the_way_out() -> None:
    wire, _ = wire_on(VLLM["many"], "vllm")
    with pytest.raises(ShortList, match=r"returned 3 .* 4 were asked.*--max-logprobs"):
        await wire.top([(2, 40, 41), (7,)], 4)


async def test_fireworks_names_ids_in_objects() -> None:
    tops = [{"token": "a", "token_id": 5, "logprob": -0.5}]
    tops += [{"token": "b", "token_id": 9, "logprob": -1.5}]
    content = [{**tops[1], "top_logprobs": tops}]
    choice = {"index": 0, "text": "b", "finish_reason": "length"}
    answer = {"choices": [{**choice, "logprobs": {"content": content}}]}
    wire, endpoint = wire_on(answer, "fireworks", max_top=5)
    [found] = await wire.top([(2,)], 2)
    assert found.logprobs == {5: -0.5, 9: -1.5}
    assert endpoint.bodies[0]["top_logprobs"] == 2
    with pytest.raises(AnswerError, match="lists at most 5"):
        await wire.top([(2,)], 6)


async def test_sglang() -> None:
    first = [[-0.5, 5, None], [-1.5, 9, None]]
    wire, endpoint = wire_on([sglang([first])], "sglang", scores_ids=1024)
    [found] = await wire.top([(2, 3, 4)], 2)
    assert found.logprobs == {5: -0.5, 9: -1.5}
    [body] = endpoint.bodies
    assert (body["input_ids"], body["top_logprobs_num"]) == ([[2, 3, 4]], 2)
    assert body["sampling_params"]["max_new_tokens"] == 1
    assert body["sampling_params"]["temperature"] == 1.0

    given = [[[-7.0, 3, None], [-8.0, 4, None]]]
    wire, endpoint = wire_on([sglang([first], given)], "sglang", scores_ids=1024)
    [found] = await wire.at([(2, 3, 4)], [(4, 3)], 20)
    assert found.logprobs == {4: -8.0, 3: -7.0}
    assert endpoint.bodies[0]["token_ids_logprob"] == [[4, 3]]


async def test_a_server_that_adds_a_beginning_of_text_is_refused() -> None:
    wire, _ = wire_on([sglang([[[-0.5, 5, None]]])], "sglang")
    with pytest.raises(AnswerError, match="read 3 prompt tokens where 2 were sent"):
        await wire.top([(3, 4)], 1)


@pytest.mark.parametrize("filler", [-9999.0, -100.0, -3.4028235e38])
async def test_fillers_are_no_probabilities(filler: float) -> None:
    listed = [[-0.5, 5, None], [-1.5, 9, None], [filler, 7, None]]
    wire, _ = wire_on([sglang([listed])], "sglang")
    [found] = await wire.top([(2, 3, 4)], 3)
    assert (found.top, list(found.logprobs)) == (2, [5, 9])


async def test_nothing_is_not_a_number() -> None:
    listed = [[math.nan, 5, None], [-1.5, 9, None]]
    wire, _ = wire_on([sglang([listed])], "sglang")
    with pytest.raises(AnswerError, match="token 5 is nan"):
        await wire.top([(2, 3, 4)], 2)
