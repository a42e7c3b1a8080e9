"""The in-process engine: a composite model, a rolling batch and its sampler."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TypeVar

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.decoding.amplify import amplify
from inspect_lda.engines.base import (
    Completion,
    EngineError,
    Request,
    Scored,
    ScoreRequest,
)
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.rows import Decoding, RowState
from inspect_lda.engines.sampler import Sampler
from inspect_lda.engines.scheduler import Scheduler
from inspect_lda.pair import Pair, PairSpec, load_pair

T = TypeVar("T")


class PairDecoder:
    """Runs one loaded pair step by step; a `scheduler.RowDecoder`."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        vocabulary = pair.vocabulary
        device = pair.after.device
        self._allowed = vocabulary.allowed.to(device)
        self._shared = vocabulary.shared.to(device)
        self.model = AmplifiedLM(
            pair.before, pair.after, allowed=self._allowed, shared=self._shared
        )
        self._sampler = Sampler(self._allowed, self._shared)
        self._decoding = Decoding(
            tokenizer=pair.tokenizer,
            eos_ids=pair.eos_ids,
            context_length=pair.context_length,
            precision=str(self.model.dtype).removeprefix("torch."),
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
        return self.model.new_cache()

    def row(self, request: Request) -> RowState:
        """Turn a request into a row."""
        return RowState(request, self._decoding)

    @torch.inference_mode()
    def step(
        self,
        ids: Tensor,
        mask: Tensor,
        positions: Tensor,
        cache: Cache,
        rows: list[RowState],
    ) -> list[int]:
        """Feed `ids` `[batch, n]`; draw, measure and record one token a row."""
        alpha = torch.tensor([row.request.alpha for row in rows], device=self.device)
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            alpha=alpha,
            logits_to_keep=1,
        )
        return self._sampler(
            output.logits[:, -1],
            output.after_logits[:, -1],
            output.before_logits[:, -1],
            rows,
        )

    @torch.inference_mode()
    def score(self, request: ScoreRequest) -> Scored:
        """Teacher-force one continuation; every alpha from one pass."""
        ids = torch.tensor([[*request.prompt, *request.continuation]])
        wanted = len(request.continuation)
        output = self.model(
            input_ids=ids.to(self.device),
            alpha=0.0,
            logits_to_keep=wanted + 1,
        )
        # The last position predicts what follows the continuation.
        after, before = output.after_logits[0, :-1], output.before_logits[0, :-1]
        target = ids[0, -wanted:].to(self.device).unsqueeze(-1)

        def taken(alpha: float) -> tuple[float, ...]:
            logits = amplify(
                after, before, alpha, allowed=self._allowed, shared=self._shared
            )
            log_q = torch.log_softmax(logits / request.temperature, dim=-1)
            return tuple(log_q.gather(-1, target).squeeze(-1).tolist())

        return Scored(
            log_q=tuple(taken(alpha) for alpha in request.alphas),
            log_p_after=taken(0.0),
            log_p_before=taken(-1.0),
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
        self._scheduler: Scheduler[Request, RowState, PairDecoder] = Scheduler(
            lambda: PairDecoder(load_pair(spec)), max_batch, f"lda:{spec.after}"
        )

    async def pair(self) -> Pair:
        """Load the pair if that has not happened, and return it."""
        return await _wait(self._scheduler.call(lambda decoder: decoder.pair))

    async def generate(self, request: Request) -> Completion:
        """Sample one completion; concurrent calls share the batch."""
        _check(request.prompt)
        row = await _wait(self._scheduler.submit(request))
        return row.completion()

    async def score(self, request: ScoreRequest) -> Scored:
        """Teacher-force a continuation at every alpha."""
        _check(request.prompt)
        if not request.continuation:
            raise EngineError("continuation is empty; it needs at least one token")
        return await _wait(self._scheduler.call(lambda decoder: decoder.score(request)))

    def close(self) -> None:
        """Stop the thread and drop the engine's references to the weights."""
        self._scheduler.close()


def _check(prompt: Sequence[int]) -> None:
    if not prompt:
        raise EngineError("the prompt holds no tokens; it needs at least one")


async def _wait(future: "Future[T]") -> T:
    return await asyncio.wrap_future(future)
