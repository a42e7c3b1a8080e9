"""A request as vLLM's completions route takes it, and its answer as drawn tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import AnswerError, EndpointUnavailable
from inspect_lda.engines.base import Request, ScoreRequest
from inspect_lda.engines.vllm.draw import (
    Draw,
    Drawn,
    columns,
    draw_of,
    draw_of_score,
    read_step,
)

ROUTE = "completions"
_ID = "token_id:"
"""vLLM's way of writing an id where the original has text."""


@dataclass(frozen=True)
class Answer:
    """What a server drew.

    Attributes:
        choice: As the server wrote it.
        draw: What was asked.
        ended: Why it stopped: an end of turn or a stop string, or the length.
    """

    choice: Mapping[str, Any]
    draw: Draw
    ended: Literal["stop", "length"]

    def drawn(self) -> Iterator[Drawn]:
        """Every token, as the pair tells of it.

        Raises:
            EngineError: If one is not told of as a pair does.
        """
        steps = self.choice["logprobs"]["top_logprobs"]
        for token, listed in zip(self.choice["token_ids"], steps, strict=True):
            by_id = {int(name[len(_ID) :]): value for name, value in listed.items()}
            yield read_step(self.draw, token, by_id)


async def draw(
    endpoint: Endpoint, request: Request, eos_ids: frozenset[int], room: int
) -> Answer:
    """Have a completion drawn.

    Args:
        endpoint: A server of the pair.
        request: What is asked.
        eos_ids: Ids that end a completion.
        room: Most tokens that the context window has for it.

    Raises:
        LDAError: If the pair cannot honour the request.
        EndpointError: If the server does not answer as it has to.
    """
    asked = draw_of(request)
    body = {
        **_body(endpoint, request.prompt, asked, request.alpha),
        "max_tokens": min(request.max_tokens, room),
        "stop_token_ids": sorted(eos_ids),
        "stop": list(request.stop),
    }
    return await _ask(endpoint, body, asked)


async def force(endpoint: Endpoint, request: ScoreRequest) -> Answer:
    """Have given tokens "drawn", one a step, behind a prompt from the cache.

    vLLM's prompt log-probabilities would do it in one pass, but it computes a prompt
    anew for them, and lists as many ids for each of its tokens.
    """
    asked = draw_of_score(request)
    body = {
        **_body(endpoint, request.prompt, asked, 0.0),
        "max_tokens": len(request.continuation),
    }
    return await _ask(endpoint, body, asked)


def _body(
    endpoint: Endpoint, prompt: tuple[int, ...], asked: Draw, alpha: float
) -> dict[str, Any]:
    return {
        "model": endpoint.model,
        "prompt": list(prompt),
        "temperature": 0,
        "logprobs": len(columns(asked)),
        # What ends a completion is said by the client, whatever the server thinks.
        "ignore_eos": True,
        # Stop strings are looked for in the text that the provider will see.
        "skip_special_tokens": False,
        "spaces_between_special_tokens": False,
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
        "vllm_xargs": asked.extra_args(alpha),
    }


async def _ask(endpoint: Endpoint, body: dict[str, Any], asked: Draw) -> Answer:
    said = await endpoint.post(ROUTE, body)
    try:
        [choice] = said["choices"]
        ended = choice["finish_reason"]
        tokens, steps = choice["token_ids"], choice["logprobs"]["top_logprobs"]
        complete = len(tokens) == len(steps) > 0
    except (KeyError, TypeError, ValueError) as error:
        raise endpoint.refuse(
            f"its answer cannot be read ({error!r})",
            "Is it a vLLM of a version that serves pairs?",
            AnswerError,
        ) from None
    if ended not in ("stop", "length") or not complete:
        # An engine that is going down aborts what it has begun.
        raise EndpointUnavailable(
            f"{endpoint.model} at {endpoint.address.base}: the completion was not "
            f"finished (finish_reason {ended!r}, {len(tokens)} tokens)"
        )
    return Answer(choice, asked, ended)
