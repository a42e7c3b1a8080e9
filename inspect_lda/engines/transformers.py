"""The in-process engine: a composite model, a rolling batch and its sampler."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.engines.base import (
    Completion,
    EngineError,
    Request,
    Scored,
    ScoreRequest,
)
from inspect_lda.engines.budget import Budget, Extent, cache_budget
from inspect_lda.engines.choose import amplified_lm
from inspect_lda.engines.compiled import INDUCTOR, Backend
from inspect_lda.engines.composite import JOINABLE
from inspect_lda.engines.forced import ForcedScorer
from inspect_lda.engines.halves import embedding_rows
from inspect_lda.engines.prefill import Prefiller
from inspect_lda.engines.rows import Decoding, RowState
from inspect_lda.engines.sampler import Sampler
from inspect_lda.engines.scheduler import Scheduler
from inspect_lda.engines.steps import CompiledSteps
from inspect_lda.pair import Pair, PairSpec, load_pair

T = TypeVar("T")
PairScheduler: TypeAlias = Scheduler[
    Request, RowState, ScoreRequest, Scored, "PairDecoder"
]

logger = logging.getLogger(__name__)


class PairDecoder:
    """Runs one loaded pair step by step; a `scheduler.RowDecoder`.

    Args:
        pair: The pair; its spec says whether steps are compiled.
        max_rows: Most rows of a batch.
        backend: What torch.compile hands the code of a step to.
    """

    def __init__(
        self, pair: Pair, max_rows: int = 32, backend: Backend = INDUCTOR
    ) -> None:
        self.pair = pair
        vocabulary = pair.vocabulary
        device = pair.after.device
        self._allowed = vocabulary.allowed.to(device)
        self._shared = vocabulary.shared.to(device)
        self.model = amplified_lm(
            pair.before, pair.after, allowed=self._allowed, shared=self._shared
        )
        if not self.model.rolls:
            logger.warning(
                "%s and %s are decoded in lockstep, each batch to its last token: rows "
                "can not join the state of layers of kind %s",
                pair.after_name,
                pair.before_name,
                ", ".join(sorted(self.model.layer_kinds - JOINABLE)),
            )
        self.steps: CompiledSteps | None = None
        if pair.spec.compile:
            self.steps = CompiledSteps(
                self.model, max_rows, pair.context_length, backend
            )
        self._sampler = Sampler(self._allowed, self._shared)
        self._forced = ForcedScorer(self.model, self._allowed, self._shared)
        self.precision = _precision(pair, self.model.dtype)
        self._decoding = Decoding(
            tokenizer=pair.tokenizer,
            eos_ids=pair.eos_ids,
            context_length=pair.context_length,
            precision=self.precision,
            masked_ids=int((~self._shared).sum()),
        )

    @property
    def rolls(self) -> bool:
        """Whether rows may join and leave a running batch."""
        return self.model.rolls

    @property
    def device(self) -> torch.device:
        """Where input tensors go."""
        return self.model.device

    def new_cache(self) -> Cache:
        """An empty cache for both checkpoints."""
        return (self.steps or self.model).new_cache()

    def row(self, request: Request) -> RowState:
        """Turn a request into a row.

        Raises:
            EngineError: If the prompt is empty or holds ids beyond the embeddings, or
                a logit bias names an id that is no token.
        """
        self._check(request.prompt)
        beyond = max(request.sampling.logit_bias, default=0)
        if beyond >= self._sampler.width:
            raise EngineError(
                f"logit_bias names token id {beyond}; the tokenizer of `after` has ids "
                f"below {self._sampler.width}"
            )
        return RowState(request, self._decoding)

    @torch.inference_mode()
    def forward(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
    ) -> tuple[Tensor, Tensor]:
        """Logits `[batch, V]` of both checkpoints after ids `[batch, n]`."""
        logits = self.steps and self.steps(ids, mask, positions, cache)
        after, before = logits or self.model.halves(
            cache,
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
        )
        return after[:, -1], before[:, -1]

    @torch.inference_mode()
    def draw(self, states: tuple[Tensor, ...], rows: list[RowState]) -> list[int]:
        """Amplify, draw, measure and record one token a row."""
        after, before = states
        return self._sampler(after, before, rows)

    @torch.inference_mode()
    def score(
        self, requests: Sequence[ScoreRequest], prefiller: Prefiller
    ) -> list[Scored]:
        """Teacher-force continuations; every alpha from one pass."""
        return self._forced(requests, prefiller)

    def check(self, request: ScoreRequest) -> None:
        """Refuse a score request that can not be answered.

        Raises:
            EngineError: If ids are missing or lie beyond the embeddings.
        """
        self._check(request.prompt)
        self._check(request.continuation)

    def extent(self, request: ScoreRequest) -> Extent:
        """How many tokens a score request puts into a cache."""
        length = len(request.prompt)
        return Extent(length, length + len(request.continuation))

    def _check(self, ids: Sequence[int]) -> None:
        rows = embedding_rows(self.model)
        if not ids:
            raise EngineError("the prompt holds no tokens; it needs at least one")
        if not 0 <= min(ids) <= max(ids) < rows:
            raise EngineError(
                f"token id {max(ids)} has no row in the embeddings of `after`, which "
                f"holds {rows}: its tokenizer has tokens the model was not resized for"
            )


def alone(pair: Pair) -> Pair:
    """`after` as both halves, which runs it once: what a pair is at alpha 0."""
    vocabulary = replace(pair.vocabulary, shared=pair.vocabulary.allowed)
    return replace(pair, before=pair.after, vocabulary=vocabulary)


class TransformersEngine:
    """Runs a checkpoint pair in this process; see `engines.base.Engine`.

    Requests at alpha 0 that want no evidence have a batch of their own, which runs
    `after` alone; with evidence `before` is read too, whatever the alpha.

    Args:
        spec: The pair; its weights are loaded at the first request.
        max_batch: Most rollouts decoded together.
        memory_fraction: Share of the memory that is free after loading which caches
            may take, above 0 and at most 1; requests that do not fit wait.
    """

    def __init__(
        self, spec: PairSpec, *, max_batch: int = 32, memory_fraction: float = 0.5
    ) -> None:
        if max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {max_batch}")
        if not 0 < memory_fraction <= 1:
            raise ValueError(
                f"memory_fraction must be above 0 and at most 1, got {memory_fraction}"
            )

        def budget(decoder: PairDecoder) -> Budget:
            return cache_budget(decoder, memory_fraction)

        self._scheduler: PairScheduler = Scheduler(
            lambda: PairDecoder(load_pair(spec), max_batch),
            max_batch,
            f"lda:{spec.after}",
            budget,
        )
        self._alone: PairScheduler = Scheduler(
            lambda: PairDecoder(alone(load_pair(spec)), max_batch),
            max_batch,
            f"lda:{spec.after} alone",
            budget,
        )

    async def pair(self) -> Pair:
        """Load the pair if that has not happened, and return it."""
        return await self.examine(lambda decoder: decoder.pair)

    async def examine(self, function: Callable[[PairDecoder], T]) -> T:
        """Run a function of the decoder between two steps, and return its result."""
        return await _wait(self._scheduler.call(function))

    async def generate(self, request: Request) -> Completion:
        """Sample one completion; concurrent calls share the batch."""
        lone = request.alpha == 0 and request.evidence == "none"
        scheduler = self._alone if lone else self._scheduler
        row = await _wait(scheduler.submit(request))
        return row.completion()

    async def score(self, request: ScoreRequest) -> Scored:
        """Teacher-force a continuation at every alpha."""
        return await _wait(self._scheduler.score(request))

    def close(self) -> None:
        """Stop the thread and drop the engine's references to the weights."""
        self._scheduler.close()
        self._alone.close()


def _precision(pair: Pair, dtype: torch.dtype) -> str:
    body = str(dtype).removeprefix("torch.")
    wide = pair.spec.head_dtype == "float32" and body != "float32"
    return f"{body}, head float32" if wide else body


async def _wait(future: "Future[T]") -> T:
    return await asyncio.wrap_future(future)
