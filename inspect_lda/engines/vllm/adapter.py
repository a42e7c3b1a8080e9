"""A LoRA adapter as part of a half: always on, unmerged, base weights untouched.

vLLM's own LoRA is chosen by every request, and one that forgets would silently compare
`before` with itself. Here the adapter belongs to the half: it works with any quantised
base, with tensor and pipeline parallelism, and costs two thin products a layer.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from vllm.model_executor.layers.linear import (
    LinearBase,
    QKVParallelLinear,
    RowParallelLinear,
)
from vllm.model_executor.models.utils import PPMissingLayer

from inspect_lda.checkpoints.block import HalfBlock
from inspect_lda.engines.vllm.adapter_file import Lora, read_adapter
from inspect_lda.errors import LDAError

# Multi-head latent attention folds this matrix into others and never calls it.
_FOLDED = ("kv_b_proj",)


class _Part(NamedTuple):
    """An adapted matrix, and which shard of vLLM's fused layer it is."""

    lora: Lora
    shard: int | None


class WithAdapter:
    """A layer's linear method, plus the low-rank product.

    Args:
        inner: The method that multiplies by the base weight.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def apply(self, layer: Any, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Base output plus `x A^T B^T`."""
        low = nn.functional.linear(x, layer.lda_a)
        base: Tensor = self._inner.apply(layer, x, bias)
        return base + nn.functional.linear(low, layer.lda_b)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def put_on(model: nn.Module, half: HalfBlock, which: str) -> None:
    """Put a half's adapter on its model; nothing if it has none.

    Raises:
        LDAError: If the adapter is of a kind or a base that cannot be put on.
    """
    if half.adapter is None:
        return
    loras = read_adapter(half.adapter, half.adapter_revision, which)
    fused: dict[str, list[_Part]] = {}
    for name, lora in loras.items():
        layer_name, shard = _place(model, name)
        fused.setdefault(layer_name, []).append(_Part(lora, shard))
    for name, parts in fused.items():
        layer = _find(model, name, half, which)
        if layer is not None:
            _attach(layer, parts)


def _place(model: nn.Module, name: str) -> tuple[str, int | None]:
    """The layer that holds a matrix of the checkpoint, and its shard there."""
    parent, _, leaf = name.rpartition(".")
    packed: Mapping[str, list[str]] = getattr(model, "packed_modules_mapping", {})
    for whole, members in packed.items():
        if leaf in members and len(members) > 1:
            return f"{parent}.{whole}", members.index(leaf)
    return name, None


def _find(
    model: nn.Module, name: str, half: HalfBlock, which: str
) -> LinearBase | None:
    """A linear layer; None if another stage of the pipeline has it."""
    module: Any = model
    for part in name.split("."):
        module = getattr(module, part, None)
        if isinstance(module, PPMissingLayer):
            return None
    if not isinstance(module, LinearBase) or name.endswith(_FOLDED):
        raise LDAError(
            f"{which}: the adapter {half.adapter} changes '{name}', which is no linear "
            f"layer of {half.model} that vLLM can adapt. Merge the adapter "
            "(PeftModel.merge_and_unload, in float32) and give the merged directory."
        )
    return module


def _attach(layer: Any, parts: list[_Part]) -> None:
    dtype = layer.params_dtype
    down = torch.cat([part.lora.a for part in parts])
    rank = down.shape[0]
    device = next(layer.parameters()).device
    by_row = isinstance(layer, RowParallelLinear)
    width = layer.input_size_per_partition if by_row else down.shape[1]
    height = getattr(layer, "output_size_per_partition", layer.output_size)
    a = _parameter((rank, width), dtype, device, input_dim=1)
    b = _parameter((height, rank), dtype, device, output_dim=0)
    if by_row:
        # The layer cuts it along its inputs, as it does the base weight.
        layer.weight_loader(a, down)
        b.data.copy_(parts[0].lora.b)
    else:
        a.data.copy_(down)
        for part, columns in _columns(parts):
            wide = part.lora.b.new_zeros(part.lora.b.shape[0], rank)
            wide[:, columns] = part.lora.b
            layer.weight_loader(b, wide, *_shard(layer, part.shard))
    layer.lda_a, layer.lda_b = a, b
    layer.quant_method = WithAdapter(layer.quant_method)


def _columns(parts: list[_Part]) -> Iterator[tuple[_Part, slice]]:
    start = 0
    for part in parts:
        yield part, slice(start, start + part.lora.b.shape[1])
        start += part.lora.b.shape[1]


def _shard(layer: LinearBase, shard: int | None) -> tuple[Any, ...]:
    if shard is None:
        return ()
    return ("qkv"[shard],) if isinstance(layer, QKVParallelLinear) else (shard,)


def _parameter(
    shape: tuple[int, int], dtype: torch.dtype, device: torch.device, **marks: int
) -> nn.Parameter:
    """A zero tensor that vLLM's weight loaders cut as they would a base weight."""
    zeros = torch.zeros(shape, dtype=dtype, device=device)
    parameter = nn.Parameter(zeros, requires_grad=False)
    for name, dimension in marks.items():
        setattr(parameter, name, dimension)
    return parameter
