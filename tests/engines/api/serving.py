"""The engine on real servers, and what transformers says of the same pair."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import torch
from torch import Tensor

from inspect_lda.engines.api.engine import ApiEngine
from inspect_lda.engines.api.spec import ApiSpec
from inspect_lda.engines.base import Completion, Request, Sampling
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.evidence import SupportEvidence
from inspect_lda.pair import PairSpec
from tests.served.gguf_files import Pair
from tests.served.servers import ServedPair

K = 20


def spec_of(served: ServedPair, **changes: Any) -> ApiSpec:
    """The servers of a pair; nothing is refused and nothing audited."""
    given: dict[str, Any] = {
        "after": served.after.model,
        "before": served.before.model,
        "base_url": served.after.url,
        "before_base_url": served.before.url,
        "tokenizer": str(served.pair.after.folder),
        "max_lost_mass": 1.0,
        "audit_every": 0,
        "draft": 0,
    }
    return ApiSpec(**{**given, **changes})


@asynccontextmanager
async def serving_engine(
    served: ServedPair, **changes: Any
) -> AsyncIterator[ApiEngine]:
    """An engine on these servers."""
    engine = ApiEngine(spec_of(served, **changes))
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def local_engine(pair: Pair, max_batch: int = 64) -> Iterator[TransformersEngine]:
    """The same pair in transformers."""
    spec = PairSpec(
        after=str(pair.after.folder),
        before=str(pair.before.folder),
        dtype="float32",
        device="cpu",
    )
    engine = TransformersEngine(spec, max_batch=max_batch)
    try:
        yield engine
    finally:
        engine.close()


def asked(
    prompt: Sequence[int],
    alpha: float = 0.3,
    *,
    seed: int = 0,
    max_tokens: int = 24,
    support: int = K,
    **sampling: Any,
) -> Request:
    """A request; further arguments are of its `Sampling`."""
    return Request(
        prompt=tuple(prompt),
        alpha=alpha,
        sampling=Sampling(seed=seed, **sampling),
        max_tokens=max_tokens,
        support=support,
    )


def supported(completion: Completion) -> SupportEvidence:
    """What is known of the ids that could not be drawn."""
    assert completion.evidence is not None
    assert completion.evidence.support is not None
    return completion.evidence.support


def exact(
    pair: Pair, prefix: Sequence[int], alpha: float, k: int = K, temperature: float = 1
) -> Tensor:
    """Chances `[V]` by transformers, float64, by the definition."""
    after = pair.after.logprobs(list(prefix))
    before = pair.before.logprobs(list(prefix))
    logits = (after + alpha * (after - before)) / temperature
    if k:
        logits[after.argsort(descending=True)[k:]] = -torch.inf
    return logits.softmax(-1)
