"""The engine for pairs that vLLM serves: a server of its own, or running ones."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

from inspect_lda.engines.api.errors import EndpointUnavailable
from inspect_lda.engines.api.opened import Opened
from inspect_lda.engines.base import (
    Completion,
    EngineError,
    Request,
    Scored,
    ScoreRequest,
    TokenLogprobs,
)
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.server import servers
from inspect_lda.engines.server.opening import ServedPair, open_pair
from inspect_lda.engines.server.parts import joined, parts_of
from inspect_lda.engines.server.spec import ServerSpec
from inspect_lda.engines.server.wire import Answer, PairEndpoint, draw, force
from inspect_lda.engines.vllm.draw import scored_of

LOOKS = 8
"""Looks, a quarter of a second apart, at a server whose connection broke."""


class ServerEngine:
    """Runs a pair on vLLM; see `engines.base.Engine`.

    A server is started, or the running ones are asked who they are, by the first
    request. `before` is read for every token, whatever alpha and evidence.

    Args:
        spec: The pair, and who serves it.
    """

    def __init__(self, spec: ServerSpec) -> None:
        self.spec = spec
        self._lock = threading.Lock()
        self._pair = Opened(self._open, lambda pair: pair.alive)
        self._joined = False

    @property
    def precision(self) -> str | None:
        """What the servers compute in, once that is known; its noise is not."""
        pair = self._pair.now
        return None if pair is None else pair.decoding.precision

    async def pair(self) -> ServedPair:
        """Open the pair if that has not happened, or if its server ended.

        Raises:
            LDAError: If it can not be served, at every call.
            EndpointError: The same; only what may pass is tried again.
        """
        return await self._pair.get()

    async def generate(self, request: Request) -> Completion:
        """Sample one completion; concurrent calls are batched by the server."""
        pair = await self.pair()
        row = RowState(request, pair.decoding)
        if not request.prompt:
            raise EngineError("the prompt holds no tokens; it needs at least one")
        if not row.done:
            room = pair.context_length - len(request.prompt)

            async def send(endpoint: PairEndpoint) -> Answer:
                return await draw(endpoint, request, pair.decoding.eos_ids, room)

            fill(row, await self._asked(pair, request.prompt, send))
        return row.completion()

    async def score(self, request: ScoreRequest) -> Scored:
        """Teacher-force a continuation; one pass for all that a row can hold."""
        pair = await self.pair()
        found = await asyncio.gather(
            *(self._scored(pair, part) for part in parts_of(request))
        )
        return joined(request, found)

    async def _scored(self, pair: ServedPair, request: ScoreRequest) -> Scored:
        async def send(endpoint: PairEndpoint) -> Answer:
            return await force(endpoint, request)

        answer = await self._asked(pair, request.prompt, send)
        drawn = list(answer.drawn())
        if [one.token for one in drawn] != list(request.continuation):
            raise EngineError("the server scored other tokens than were given")
        return scored_of(answer.draw, drawn)

    def close(self) -> None:
        """Close the connections; a server runs on until another needs its place."""
        pair = self._pair.let_go()
        with self._lock:
            joined, self._joined = self._joined, False
        if pair is not None:
            pair.replicas.close()
        if joined:
            servers.leave(self.spec)

    async def _asked(
        self,
        pair: ServedPair,
        prompt: Sequence[int],
        send: Callable[[PairEndpoint], Awaitable[Answer]],
    ) -> Answer:
        try:
            return await pair.replicas.ask(prompt, send)
        except EndpointUnavailable as error:
            for _ in range(LOOKS):
                if not pair.alive:
                    break
                if pair.owned is None:
                    raise
                await asyncio.sleep(0.25)
            if pair.owned is None or pair.alive:
                raise
            raise EndpointUnavailable(
                f"{pair.owned.ended('while it served')}\nThe next attempt starts it "
                "again"
            ) from error

    async def _open(self) -> ServedPair:
        with self._lock:
            if not self.spec.urls and not self._joined:
                self._joined = True
                servers.join(self.spec)
        return await open_pair(self.spec)


def fill(row: RowState, answer: Answer) -> None:
    """Record the tokens of an answer, as far as the row takes them.

    Raises:
        EngineError: If the row has no possible token, or the server stopped it for no
            reason that is known here.
    """
    for drawn in answer.drawn():
        if row.request.top_logprobs is not None:
            row.logprobs.append(TokenLogprobs(drawn.token, drawn.values[0], drawn.top))
        row.take(drawn.token, drawn.values, drawn.also)
        if row.error is not None:
            raise row.error
        if row.done:
            return
    if answer.ended != "stop":
        raise EngineError(
            f"the server ended a completion after {len(row.tokens)} tokens for its "
            f"length, of {row.request.max_tokens} that were asked for"
        )
    # It decodes in one go, we token by token: only it saw the stop string.
    row.stop_reason = "stop"
