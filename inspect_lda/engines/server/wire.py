"""A request as vLLM takes it, and its answer as drawn tokens.

Two routes say the same. The completions route is open everywhere; it decodes every id
that it lists, which costs its API server about as much as all else it does for a token.
The route for tokens (`vllm serve --enable-scale-out`) does not, and is taken where it
is open.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import (
    AnswerError,
    EndpointError,
    EndpointUnavailable,
)
from inspect_lda.engines.base import Request, ScoreRequest
from inspect_lda.engines.vllm.draw import (
    Draw,
    Drawn,
    columns,
    draw_of,
    draw_of_score,
    read_step,
)

COMPLETIONS = "completions"
TOKENS = "/inference/v1/generate"
_CLOSED = frozenset([403, 404, 405])
_ID = "token_id:"
"""The completions route's way of writing an id where the original has text."""


class PairEndpoint(Endpoint):
    """A server of a pair.

    Attributes:
        route: Where requests are sent.
    """

    route = COMPLETIONS

    async def find_route(self, prompt: tuple[int, ...]) -> None:
        """See whether the route for tokens is open.

        Raises:
            EndpointError: If the server does not answer.
        """
        asked: dict[str, Any] = {"max_tokens": 1, "detokenize": False}
        body = {"model": self.model, "token_ids": list(prompt)}
        try:
            await self.post(TOKENS, {**body, "sampling_params": asked})
        except EndpointError as error:
            if error.status not in _CLOSED:
                raise
            self.route = COMPLETIONS
        else:
            self.route = TOKENS


@dataclass(frozen=True)
class _Question:
    prompt: tuple[int, ...]
    draw: Draw
    alpha: float
    max_tokens: int
    ends: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()

    def settings(self) -> dict[str, Any]:
        """What both routes call alike."""
        return {
            "temperature": 0,
            "max_tokens": self.max_tokens,
            "logprobs": len(columns(self.draw)),
            # What ends a completion is said here, whatever the server thinks.
            "stop_token_ids": list(self.ends),
            "ignore_eos": True,
            # Stop strings are looked for in the text that the provider will see.
            "stop": list(self.stop),
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
        }

    def body(self, model: str, route: str) -> dict[str, Any]:
        """What is sent."""
        extra = self.draw.extra_args(self.alpha)
        if route == COMPLETIONS:
            return {
                **self.settings(),
                "model": model,
                "prompt": list(self.prompt),
                "return_token_ids": True,
                "return_tokens_as_token_ids": True,
                "vllm_xargs": extra,
            }
        # To see a stop string, the server has to decode.
        settings = {**self.settings(), "detokenize": bool(self.stop)}
        return {
            "model": model,
            "token_ids": list(self.prompt),
            "sampling_params": {**settings, "extra_args": extra},
        }


@dataclass(frozen=True)
class Answer:
    """What a server drew.

    Attributes:
        tokens: The ids.
        steps: What is said of each, as the server wrote it.
        draw: What was asked.
        ended: Why it stopped: an end of turn or a stop string, or the length.
    """

    tokens: tuple[int, ...]
    steps: tuple[Mapping[str, Any], ...]
    draw: Draw
    ended: Literal["stop", "length"]

    def drawn(self) -> Iterator[Drawn]:
        """Every token, as the pair tells of it.

        Raises:
            EngineError: If one is not told of as a pair does.
        """
        for token, step in zip(self.tokens, self.steps, strict=True):
            yield read_step(self.draw, token, _by_id(step))


async def draw(
    endpoint: PairEndpoint, request: Request, eos_ids: frozenset[int], room: int
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
    question = _Question(
        prompt=request.prompt,
        draw=draw_of(request),
        alpha=request.alpha,
        max_tokens=min(request.max_tokens, room),
        ends=tuple(sorted(eos_ids)),
        stop=request.stop,
    )
    return await _ask(endpoint, question)


async def force(endpoint: PairEndpoint, request: ScoreRequest) -> Answer:
    """Have given tokens "drawn", one a step, behind a prompt from the cache.

    vLLM's prompt log-probabilities would do it in one pass, but it computes a prompt
    anew for them, and lists as many ids for each of its tokens.
    """
    question = _Question(
        prompt=request.prompt,
        draw=draw_of_score(request),
        alpha=0.0,
        max_tokens=len(request.continuation),
    )
    return await _ask(endpoint, question)


async def _ask(endpoint: PairEndpoint, question: _Question) -> Answer:
    route = endpoint.route
    said = await endpoint.post(route, question.body(endpoint.model, route))
    try:
        [choice] = said["choices"]
        ended, tokens = choice["finish_reason"], tuple(choice["token_ids"])
        name = "top_logprobs" if route == COMPLETIONS else "content"
        steps = tuple(choice["logprobs"][name])
    except (KeyError, TypeError, ValueError) as error:
        raise endpoint.refuse(
            f"its answer cannot be read ({error!r})",
            "Is it a vLLM of a version that serves pairs?",
            AnswerError,
        ) from None
    if ended not in ("stop", "length") or not len(tokens) == len(steps) > 0:
        # An engine that is going down aborts what it has begun.
        raise EndpointUnavailable(
            f"{endpoint.model} at {endpoint.address.base}: the completion was not "
            f"finished (finish_reason {ended!r}, {len(tokens)} tokens)"
        )
    return Answer(tokens, steps, question.draw, ended)


def _by_id(step: Mapping[str, Any]) -> dict[int, float]:
    listed = step.get("top_logprobs")
    if isinstance(listed, list):
        return {one["token_id"]: one["logprob"] for one in listed}
    return {int(name.removeprefix(_ID)): value for name, value in step.items()}
