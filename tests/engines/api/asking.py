"""Dialects opened on a running server, and what transformers says instead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import torch

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.listing import Listing
from inspect_lda.engines.api.probe import probe
from inspect_lda.engines.api.wire import speak
from inspect_lda.engines.api.wire.base import Wire
from tests.served.gguf_files import Checkpoint

NATS = 2e-5
"""What float32 servers and float32 transformers may differ by."""


@asynccontextmanager
async def asked(url: str, model: str, retries: int = 0) -> AsyncIterator[Wire]:
    """The dialect that a probe finds there."""
    endpoint = Endpoint(url, model, retries=retries)
    try:
        yield speak(endpoint, await probe(endpoint))
    finally:
        endpoint.close()


def furthest(listing: Listing, checkpoint: Checkpoint, prefix: Ids) -> float:
    """Largest difference to transformers, nats."""
    exact = checkpoint.logprobs(list(prefix))
    return max(abs(v - exact[t].item()) for t, v in listing.logprobs.items())


def ranked(checkpoint: Checkpoint, prefix: Ids, k: int) -> list[int]:
    """The k most likely ids by transformers."""
    exact = checkpoint.logprobs(list(prefix))
    return [int(i) for i in torch.topk(exact, k).indices]
