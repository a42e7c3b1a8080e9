"""The engine behind `-M amplify=weights`: one extrapolated model, one forward a token.

Alpha means the same combination, `after + alpha * (after - before)`, of weights instead
of logits. Hidden states now depend on alpha, so every alpha decodes in a batch of its
own, on weights that are held once. The evidence has the meaning it always has: `log_q`
is of the distribution drawn from, here the extrapolated model's, and what `after` and
`before` think of the text is read off in one pass over it when it is finished
(`replay`), and so is what the models at other alphas think, in a pass each. A request
without evidence does without those passes.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from inspect_lda.engines.base import (
    Completion,
    Request,
    Sampling,
    Scored,
    ScoreRequest,
)
from inspect_lda.engines.budget import Budget, cache_budget
from inspect_lda.engines.extrapolated import extrapolated
from inspect_lda.engines.scheduler import Scheduler
from inspect_lda.engines.transformers import PairDecoder, PairScheduler
from inspect_lda.errors import LDAError
from inspect_lda.pair import Pair, PairSpec, load_pair

T = TypeVar("T")

HELD = 8
"""Alphas whose batches are kept; idle ones beyond give their caches back."""

_HONOURED = {
    Request: {"prompt", "alpha", "sampling", "max_tokens", "stop"}
    | {"top_logprobs", "evidence", "also"},
    Sampling: {"temperature", "top_k", "top_p", "min_p", "seed"}
    | {"frequency_penalty", "presence_penalty", "logit_bias"},
}


@dataclass
class _Batch:
    scheduler: PairScheduler
    users: int = 0


class WeightsEngine:
    """Runs a pair of adapters in weight space; see `engines.base.Engine`.

    Args:
        spec: The pair; its weights are loaded at the first request.
        max_batch: Most rollouts of one alpha decoded together.
        memory_fraction: Share of the memory that is free after loading which the
            caches of one alpha may take.
    """

    def __init__(
        self, spec: PairSpec, *, max_batch: int = 32, memory_fraction: float = 0.5
    ) -> None:
        self._spec = replace(spec, amplify="logits")
        self._max_batch = max_batch
        self._memory_fraction = memory_fraction
        self._lock = threading.Lock()
        self._batches: dict[float, _Batch] = {}
        self._checkpoints = self._scheduler(None)

    async def pair(self) -> Pair:
        """Load the pair if that has not happened, and return it."""
        return await _wait(self._checkpoints.call(lambda decoder: decoder.pair))

    async def generate(self, request: Request) -> Completion:
        """Sample one completion; concurrent calls of one alpha share a batch.

        Raises:
            LDAError: If the request asks for something that acts on two checkpoints'
                logits.
        """
        _refuse_acts_on_logits(request)
        alone = replace(request, alpha=0.0, evidence="none", also=())
        if request.evidence == "none":
            return await self._sampled(request.alpha, alone)
        wanted = request.top_logprobs
        found = await self._sampled(
            request.alpha, replace(alone, top_logprobs=wanted or 0)
        )
        logprobs = None if wanted is None else found.logprobs
        return replace(await self._measured(request, found), logprobs=logprobs)

    async def score(self, request: ScoreRequest) -> Scored:
        """Teacher-force a continuation; one forward an alpha."""
        alphas = tuple(dict.fromkeys((*request.alphas, 0.0, -1.0)))
        found = await asyncio.gather(*(self._forced(request, one) for one in alphas))
        log_q = dict(zip(alphas, found, strict=True))
        return Scored(
            log_q=tuple(log_q[alpha] for alpha in request.alphas),
            log_p_after=log_q[0.0],
            log_p_before=log_q[-1.0],
        )

    def close(self) -> None:
        """Stop the threads and drop the engine's references to the weights."""
        with self._lock:
            batches, self._batches = self._batches, {}
        for batch in batches.values():
            batch.scheduler.close()
        self._checkpoints.close()

    async def _sampled(self, alpha: float, request: Request) -> Completion:
        with self._batch(alpha) as batch:
            row = await _wait(batch.submit(request))
        return row.completion()

    async def _forced(self, request: ScoreRequest, alpha: float) -> tuple[float, ...]:
        with self._batch(alpha) as batch:
            scored = await _wait(batch.score(replace(request, alphas=(0.0,))))
        return scored.log_q[0]

    async def _measured(self, request: Request, found: Completion) -> Completion:
        """The completion with what both checkpoints think of its tokens."""
        checkpoints = self._checkpoints
        row = await _wait(checkpoints.call(lambda decoder: decoder.row(request)))
        if found.tokens:
            replay = ScoreRequest(
                request.prompt, found.tokens, (), sampling=request.sampling
            )
            steps = (await _wait(checkpoints.score(replay))).steps
            others = [await self._replayed(replay, one) for one in request.others]
            drawn = found.logprobs or ()
            for i, (step, token) in enumerate(zip(steps, drawn, strict=True)):
                also = [log_q[i] for log_q in others]
                row.take(token.token, (token.logprob, *step[1:]), also)
        return row.completion()

    async def _replayed(self, replay: ScoreRequest, alpha: float) -> list[float]:
        """Log q of every token of a text, as the model at an alpha would draw it."""
        with self._batch(alpha) as batch:
            steps = (await _wait(batch.score(replay))).steps
        return [step[0] for step in steps]

    @contextmanager
    def _batch(self, alpha: float) -> Iterator[PairScheduler]:
        with self._lock:
            # The newest stands last.
            batch = self._batches.pop(alpha, None) or _Batch(self._scheduler(alpha))
            self._batches[alpha] = batch
            batch.users += 1
            idle = [one for one, held in self._batches.items() if not held.users]
            surplus = idle[: max(0, len(self._batches) - HELD)]
            closed = [self._batches.pop(one) for one in surplus]
        for one in closed:
            one.scheduler.close()
        try:
            yield batch.scheduler
        finally:
            with self._lock:
                batch.users -= 1

    def _scheduler(self, alpha: float | None) -> PairScheduler:
        """A batch of the model at an alpha, or of both checkpoints."""

        def decoder() -> PairDecoder:
            pair = load_pair(self._spec)
            return PairDecoder(
                pair if alpha is None else extrapolated(pair, alpha), self._max_batch
            )

        def budget(decoder: PairDecoder) -> Budget:
            return cache_budget(decoder, self._memory_fraction)

        at = "" if alpha is None else f" weights {alpha:g}"
        return Scheduler(
            decoder, self._max_batch, f"lda:{self._spec.after}{at}", budget
        )


def _refuse_acts_on_logits(request: Request) -> None:
    """Whatever is set and not honoured would silently do nothing."""
    for asked in (request, request.sampling):
        for field in fields(asked):
            value = getattr(asked, field.name)
            if field.name not in _HONOURED[type(asked)] and value != field.default:
                raise LDAError(
                    f"-M amplify=weights with {field.name}={value!r}: it acts on the "
                    "logits of two checkpoints, and here one model is run. Leave one "
                    "of them out"
                )


async def _wait(future: "Future[T]") -> T:
    return await asyncio.wrap_future(future)
