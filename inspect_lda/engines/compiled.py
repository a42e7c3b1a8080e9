"""The models of a composite, compiled for blocks of one shape each."""

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from inspect_lda.engines.block import Block
from inspect_lda.engines.halves import Run

Backend = str | Callable[..., Any]
INDUCTOR = "inductor"


class CompiledParts:
    """Runs the models of a composite compiled, each for each block.

    Each model on its own: a pair of equal weights is compiled to equal code and gives
    equal logits, and a CUDA graph knows one device.

    Args:
        device: The device of the composite; on a GPU, steps become CUDA graphs.
        backend: What torch.compile hands the code to.
    """

    def __init__(self, device: torch.device, backend: Backend) -> None:
        self._backend = backend
        self._graphs = backend == INDUCTOR and device.type == "cuda"
        self._functions: dict[tuple[Block, nn.Module], Callable[..., Tensor]] = {}

    def begin(self, block: Block) -> Run:
        """What runs a model in a block for one step; the last step's logits go."""
        if self._graphs:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return partial(self._run, block)

    def clear(self) -> None:
        """Forget what was compiled."""
        self._functions = {}

    def _run(
        self, block: Block, part: nn.Module, cache: Cache | None, **inputs: Any
    ) -> Tensor:
        tensors = {k: v for k, v in inputs.items() if isinstance(v, Tensor)}
        function = self._functions.get((block, part))
        if function is None:
            fixed = {k: v for k, v in inputs.items() if k not in tensors}

            def step(**tensors: Tensor) -> Tensor:
                result: Tensor = part(past_key_values=cache, **fixed, **tensors)[0]
                return result

            name = f"step_{block.rows}x{block.columns}"
            function = self._functions[block, part] = self._compile(step, name)
        return function(**tensors)

    def _compile(self, step: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
        compiled: Callable[..., Tensor] = torch.compile(
            _own_code(step, name),
            fullgraph=True,
            dynamic=False,
            backend=self._backend,
            mode="reduce-overhead" if self._graphs else None,
        )
        return compiled


def is_compiler_error(error: Exception) -> bool:
    """Whether code could not be compiled, as opposed to compiled code that failed."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def _own_code(step: Any, name: str) -> Callable[..., Tensor]:
    # torch counts compilations by code object, and gives up after eight of one.
    code = step.__code__.replace(co_name=name)
    return FunctionType(code, step.__globals__, name, None, step.__closure__)
