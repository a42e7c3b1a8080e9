"""The in-process engine: a composite model, a rolling batch and its sampler."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TypeVar

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
from inspect_lda.engines.choose import amplified_lm
from inspect_lda.engines.compiled import INDUCTOR, Backend
from inspect_lda.engines.forced import ForcedScorer
from inspect_lda.engines.halves import embedding_rows
from inspect_lda.engines.prefill import Prefiller
from inspect_lda.engines.rows import Decoding, RowState
from inspect_lda.engines.sampler import Sampler
from inspect_lda.engines.scheduler import Scheduler
from inspect_lda.engines.steps import CompiledSteps
from inspect_lda.pair import Pair, PairSpec, load_pair

T = TypeVar("T")


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
        self.steps: CompiledSteps | None = None
        if pair.spec.compile:
            self.steps = CompiledSteps(
                self.model, max_rows, pair.context_length, backend
            )
        self._sampler = Sampler(self._allowed, self._shared)
        self._forced = ForcedScorer(self.model, self._allowed, self._shared)
        self._decoding = Decoding(
            tokenizer=pair.tokenizer,
            eos_ids=pair.eos_ids,
            context_length=pair.context_length,
            precision=_precision(pair, self.model.dtype),
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

    def _check(self, ids: Sequence[int]) -> None:
        rows = embedding_rows(self.model)
        if not ids:
            raise EngineError("the prompt holds no tokens; it needs at least one")
        if not 0 <= min(ids) <= max(ids) < rows:
            raise EngineError(
                f"token id {max(ids)} has no row in the embeddings of `after`, which "
                f"holds {rows}: its tokenizer has tokens the model was not resized for"
            )


class TransformersEngine:
    """Runs a checkpoint pair in this process; see `engines.base.Engine`.

    Args:
        spec: The pair; its weights are loaded at the first request.
        max_batch: Most rollouts decoded together.
    """

    def __init__(self, spec: PairSpec, *, max_batch: int = 32) -> None:
        if max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {max_batch}")
        self._scheduler: Scheduler[
            Request, RowState, ScoreRequest, Scored, PairDecoder
        ] = Scheduler(
            lambda: PairDecoder(load_pair(spec), max_batch),
            max_batch,
            f"lda:{spec.after}",
        )

    async def pair(self) -> Pair:
        """Load the pair if that has not happened, and return it."""
        return await _wait(self._scheduler.call(lambda decoder: decoder.pair))

    async def generate(self, request: Request) -> Completion:
        """Sample one completion; concurrent calls share the batch."""
        row = await _wait(self._scheduler.submit(request))
        return row.completion()

    async def score(self, request: ScoreRequest) -> Scored:
        """Teacher-force a continuation at every alpha."""
        return await _wait(self._scheduler.score(request))

    def close(self) -> None:
        """Stop the thread and drop the engine's references to the weights."""
        self._scheduler.close()


def _precision(pair: Pair, dtype: torch.dtype) -> str:
    body = str(dtype).removeprefix("torch.")
    wide = pair.spec.head_dtype == "float32" and body != "float32"
    return f"{body}, head float32" if wide else body


async def _wait(future: "Future[T]") -> T:
    return await asyncio.wrap_future(future)
