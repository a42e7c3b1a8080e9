"""transformers' continuous batching on the composite, as a contestant.

Its interface is private and changes between minor releases, so nothing in the product
rests on it, and this module is imported by `contestant` alone, which lets it in only
after it has decoded, greedily and at two alphas, what `generate()` decodes. Two things
make the composite run: each half sees the layers of the one paged cache under its own
numbers (`View`), and gets keyword arguments of its own, because the cache's `update`
writes into them.

A request's alpha travels as the argument of a logits processor that changes nothing.
There is no seed a request: one seed serves the whole run.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching.cache import PagedAttentionCache
from transformers.generation.continuous_batching.cb_logits_processors import (
    CLASSIC_TO_CB_PROCESSORS_MAP,
    ContinuousBatchingLogitsProcessor,
)
from transformers.generation.logits_process import LogitsProcessor, LogitsProcessorList

from benchmarks.peers import PAD, masks, settings
from benchmarks.workloads import prompt, request
from inspect_lda.decoding.amplify import amplify
from inspect_lda.engines.base import Request
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.halves import AmplifiedOutput
from inspect_lda.pair import Pair

PAGE = 32
NO_TOKEN = -1
WAIT_SECONDS = 1.0
PROOF_TOKENS = 6
PROOF_ALPHAS = (0.3, 3.0)


class View(PagedAttentionCache):
    """A paged cache in which layer i is layer `offset + i` of the whole one."""

    def __init__(self, whole: PagedAttentionCache, offset: int) -> None:
        self.__dict__.update(whole=whole, offset=offset)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["whole"], name)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write to and read from the layer of the whole cache."""
        layer = self.__dict__["offset"] + layer_idx
        both: tuple[Tensor, Tensor] = self.__dict__["whole"].update(
            key_states, value_states, layer, kwargs
        )
        return both


class AlphaMarker(LogitsProcessor):
    """Stands for alpha in a list of ordinary processors."""

    supports_continuous_batching = True


class AlphaCarrier(ContinuousBatchingLogitsProcessor):
    """Puts one float a request into the batch's arguments; leaves the scores alone."""

    supported_kwargs: dict[str, type] = {"alpha": float}  # noqa: RUF012 - the base's
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self, marker: AlphaMarker) -> None:
        del marker

    def fill_defaults(self, int32_tensor: Tensor) -> None:
        """Alpha 0 where there is no request."""
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> Tensor:
        """The alphas, their bits in integers as the batch stores them."""
        alphas = [
            one.state.logit_processor_kwargs["alpha"] for one in requests_with_new_token
        ]
        return torch.tensor(alphas, dtype=torch.float32).view(torch.int32)

    def __call__(self, scores: Tensor, tensor_arg: Tensor) -> Tensor:
        """Nothing: `PagedLM` has read the alphas already."""
        return scores


CLASSIC_TO_CB_PROCESSORS_MAP[AlphaMarker] = AlphaCarrier


class PagedLM(AmplifiedLM):
    """The composite as continuous batching calls it: one row, all requests in it."""

    def forward(  # type: ignore[override]
        self,
        *,
        logits_to_keep: Tensor,
        logits_processor_args: Tensor,
        cache: PagedAttentionCache,
        **inputs: Any,
    ) -> AmplifiedOutput:
        """Logits `[1, requests, V]` of the requests that need a token."""
        after, before = (
            half(
                cache=View(cache, offset), logits_to_keep=logits_to_keep, **dict(inputs)
            ).logits[0]
            for half, offset in ((self.after, 0), (self.before, self.n_after))
        )
        alphas = logits_processor_args[0, : len(after)].view(torch.float32)
        logits = amplify(
            after, before, alphas, allowed=self.allowed, shared=self.shared
        )
        return AmplifiedOutput(logits=logits.unsqueeze(0))

    def _get_logits_processor(self, *args: Any, **kwargs: Any) -> LogitsProcessorList:
        generic: Any = super()
        found = generic._get_logits_processor(*args, **kwargs)
        return LogitsProcessorList([AlphaMarker(), *found])


class Continuous:
    """Requests through transformers' continuous batching."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._model: Any = PagedLM(pair.before, pair.after, **masks(pair))

    def seconds(self, requests: Sequence[Request], slots: int) -> float:
        """CPU seconds of all requests, at most `slots` at a time, start-up apart."""
        _, seconds = self._decode(requests, slots, settings(eos_token_id=NO_TOKEN))
        return seconds

    def prove(self) -> None:
        """Decode greedily what `generate()` decodes.

        Raises:
            RuntimeError: If the tokens differ.
        """
        ids = prompt(0, self._pair.vocabulary.size, 5)
        asked = [request(ids, PROOF_TOKENS, alpha=alpha) for alpha in PROOF_ALPHAS]
        greedy = GenerationConfig(
            do_sample=False, eos_token_id=NO_TOKEN, pad_token_id=PAD
        )
        got, _ = self._decode(asked, len(asked), greedy)
        pair = self._pair
        model: Any = AmplifiedLM(pair.before, pair.after, **masks(pair))
        model.generation_config = GenerationConfig(pad_token_id=PAD)
        rows = torch.tensor([ids, ids])
        expected = model.generate(
            input_ids=rows,
            attention_mask=torch.ones_like(rows),
            alpha=torch.tensor(PROOF_ALPHAS),
            max_new_tokens=PROOF_TOKENS,
            do_sample=False,
        )[:, len(ids) :].tolist()
        if got != expected:
            raise RuntimeError(f"it decodes {got}, generate() {expected}")

    def _decode(
        self, requests: Sequence[Request], slots: int, config: GenerationConfig
    ) -> tuple[list[list[int]], float]:
        longest = max(len(one.prompt) + one.max_tokens for one in requests)
        batching = ContinuousBatchingConfig(
            page_size=PAGE,
            num_blocks=slots * (math.ceil(longest / PAGE) + 1),
            max_batch_tokens=max(256, longest),
            max_requests_per_batch=slots,
            per_request_processors=True,
        )
        with self._model.continuous_batching_context_manager(
            generation_config=config, continuous_batching_config=batching
        ) as manager:
            begun = time.process_time()
            names = [
                manager.add_request(
                    list(one.prompt), max_new_tokens=one.max_tokens, alpha=one.alpha
                )
                for one in requests
            ]
            found = _collect(manager, len(names))
            seconds = time.process_time() - begun
        return [found[name] for name in names], seconds


def _collect(manager: Any, count: int) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    while len(found) < count:
        result = manager.get_result(timeout=WAIT_SECONDS)
        if result is None:
            if not manager.is_running():
                raise RuntimeError("its thread ended early")
        elif result.error is not None:
            raise RuntimeError(result.error)
        elif result.is_finished():
            found[result.request_id] = list(result.generated_tokens)
    return found
