"""Forwards that rollouts take, counted in passes of a token through a whole model."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from benchmarks.workloads import TEMPERATURE
from inspect_lda.chat.render import ChatRenderer
from inspect_lda.decoding.settings import Sampling
from inspect_lda.engines.base import Engine, Request
from inspect_lda.evidence import EvidenceLevel
from inspect_lda.pair import PairSpec, load_tokenizer
from inspect_lda.tasks.prompt_sets import load_prompts

LAYER, LAYERS = "LlamaDecoderLayer", 30
"""Of SmolLM2-135M, the base of all embedded pairs."""
NO_END = {2: -100.0}
"""Its end of turn: rollouts are of one length, so that times compare."""


@dataclass(frozen=True)
class Asked:
    """A batch of requests.

    Attributes:
        requests: The requests.
        sampled: Tokens that they sample together.
    """

    requests: Sequence[Request]
    sampled: int

    def runs(
        self, loop: asyncio.AbstractEventLoop, engine: Engine, level: EvidenceLevel
    ) -> Callable[[], float]:
        """A contestant: all requests on an engine, under seeds of their own each time.

        Args:
            loop: Runs the engine's coroutines.
            engine: The engine.
            level: Evidence that every request asks for.
        """
        turn = 0

        def run() -> float:
            nonlocal turn
            turn += 1
            asked = [self._fresh(one, turn, level) for one in self.requests]
            begun = time.process_time()
            loop.run_until_complete(_all(engine, asked))
            return time.process_time() - begun

        return run

    def _fresh(self, request: Request, turn: int, level: EvidenceLevel) -> Request:
        # A text that was drawn before would be a stored prefix.
        seed = 1000 * turn + request.sampling.seed
        return replace(
            request, evidence=level, sampling=replace(request.sampling, seed=seed)
        )


def requests_of(pair: str, alphas: Sequence[float], prompts: int, tokens: int) -> Asked:
    """Everyday prompts at several alphas.

    Args:
        pair: Name of an embedded pair.
        alphas: Alphas of every prompt.
        prompts: How many.
        tokens: Of each rollout.
    """
    from inspect_ai.model import ChatMessageUser

    checkpoint = f"demo/{pair}"
    renderer = ChatRenderer(load_tokenizer(PairSpec(checkpoint)), checkpoint=checkpoint)
    asked = []
    for seed, one in enumerate(load_prompts("builtin:everyday").pick(prompts)):
        ids = renderer.render([ChatMessageUser(content=one.input)], [], "chat").ids
        for alpha in alphas:
            sampling = Sampling(TEMPERATURE, seed=seed, logit_bias=NO_END)
            asked.append(Request(ids, alpha, sampling, max_tokens=tokens))
    return Asked(asked, tokens * len(asked))


def counted(run: Callable[[], float]) -> float:
    """Passes of a token through all layers of one model, while this runs."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal total
        if type(module).__name__ == LAYER and isinstance(inputs[0], Tensor):
            total += inputs[0].shape[0] * inputs[0].shape[1]

    hook = register_module_forward_pre_hook(count)
    try:
        run()
    finally:
        hook.remove()
    return total / LAYERS


async def _all(engine: Engine, requests: Sequence[Request]) -> None:
    await asyncio.gather(*map(engine.generate, requests))
