"""What transformers makes of the composite: `generate()`, continuous batching."""

import time
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import GenerationConfig

from benchmarks.contest import console
from benchmarks.workloads import TEMPERATURE, chunks
from inspect_lda.engines.base import Request
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.pair import Pair

if TYPE_CHECKING:
    from benchmarks.continuous import Continuous

PAD = 0


def settings(**changes: Any) -> GenerationConfig:
    """Sampling as the engine does it: nothing of a checkpoint's own, no top-k of 50."""
    return GenerationConfig(
        do_sample=True,
        temperature=TEMPERATURE,
        top_k=0,
        top_p=1.0,
        pad_token_id=PAD,
        **changes,
    )


def masks(pair: Pair) -> dict[str, torch.Tensor]:
    """Those masks of a composite that mask anything; the others only cost time."""
    found = {"allowed": pair.vocabulary.allowed, "shared": pair.vocabulary.shared}
    return {name: mask for name, mask in found.items() if not bool(mask.all())}


class Generate:
    """`AmplifiedLM.generate` in lockstep batches.

    One call has one seed, so the requests' own seeds are not honoured.
    """

    def __init__(self, pair: Pair) -> None:
        self._model: Any = AmplifiedLM(pair.before, pair.after, **masks(pair))
        # Whatever a checkpoint says of itself, no end of turn above all, stays out.
        self._model.generation_config = settings()

    def lockstep(self, requests: Sequence[Request], slots: int) -> float:
        """CPU seconds in batches of `slots`; each runs to its longest request."""
        return sum(self._batch(chunk) for chunk in chunks(requests, slots))

    def by_alpha(self, requests: Sequence[Request], slots: int) -> float:
        """The same, one alpha a batch."""
        ordered = sorted(requests, key=attrgetter("alpha"))
        groups = groupby(ordered, attrgetter("alpha"))
        return sum(self.lockstep(list(group), slots) for _, group in groups)

    def _batch(self, requests: Sequence[Request]) -> float:
        ids = torch.tensor([one.prompt for one in requests])
        alphas = torch.tensor([one.alpha for one in requests])
        begun = time.process_time()
        self._model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            alpha=alphas,
            max_new_tokens=max(one.max_tokens for one in requests),
        )
        return time.process_time() - begun


def continuous(pair: Pair) -> "Continuous | None":
    """Continuous batching of this pair; None, and a line that says why, without it."""
    try:
        from benchmarks.continuous import Continuous

        found = Continuous(pair)
        found.prove()
    except Exception as error:  # a private interface may fail in any way
        console.print(
            "continuous batching: not supported by transformers "
            f"{transformers.__version__} ({type(error).__name__}: {error})",
            markup=False,
        )
        return None
    return found
