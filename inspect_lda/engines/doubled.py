"""A plain LoRA and its base as one forward with doubled rows.

The weights of the base are read once for both checkpoints: rows `[0, B)` are `after`
and get the adapter's update, rows `[B, 2B)` are `before` and do not. On small batches,
where reading weights is the cost, that is up to twice as fast as two passes. Only
ordinary LoRA on linear layers is run this way; everything else runs as two models.
"""

import logging
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer

from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.growing import HEADROOM
from inspect_lda.engines.halves import shared_copy

logger = logging.getLogger(__name__)


class HalfLora(nn.Module):
    """`W x` for all rows, plus `scale * B A x` for the first half of them."""

    def __init__(self, layer: LoraLinear) -> None:
        super().__init__()
        name = layer.active_adapters[0]
        self.base = layer.base_layer
        self.down, self.up = layer.lora_A[name], layer.lora_B[name]
        self.scale = float(layer.scaling[name])

    def forward(self, x: Tensor) -> Tensor:
        """Apply to `[2B, n, d]`."""
        result: Tensor = self.base(x)
        half = x.shape[0] // 2
        result[:half].add_(self.up(self.down(x[:half])), alpha=self.scale)
        return result


class PairedLayer(DynamicLayer):
    """One cache layer of 2B rows over the two layers that a rolling batch keeps.

    The batch sees `after`'s and `before`'s layers, B rows each, and may replace their
    tensors when rows leave or join; then they are joined again at the next update.
    """

    def __init__(self, after: DynamicLayer, before: DynamicLayer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._halves = (after, before)
        self._memory: tuple[Tensor, Tensor] | None = None

    def get_seq_length(self) -> int:
        """Columns held."""
        return int(self._halves[0].get_seq_length())

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append states `[2B, heads, n, d]`; return all of them."""
        length = self.get_seq_length()
        total = length + key_states.shape[-2]
        keys, values = self._reserve(length, total, key_states, value_states)
        keys[:, :, length:total] = key_states
        values[:, :, length:total] = value_states
        rows = key_states.shape[0] // 2
        for half, part in zip(
            self._halves, (slice(0, rows), slice(rows, None)), strict=True
        ):
            half.keys, half.values = keys[part, :, :total], values[part, :, :total]
            half.is_initialized = True
        return keys[:, :, :total], values[:, :, :total]

    def _reserve(
        self, length: int, total: int, key_states: Tensor, value_states: Tensor
    ) -> tuple[Tensor, Tensor]:
        memory = self._memory
        if (
            memory is not None
            and memory[0].shape[-2] >= total
            and memory[0].shape[0] == key_states.shape[0]
            and length > 0
            and torch.as_tensor(self._halves[0].keys).data_ptr() == memory[0].data_ptr()
        ):
            return memory
        made = []
        for name, new in (("keys", key_states), ("values", value_states)):
            shape = (*new.shape[:2], total + HEADROOM, new.shape[-1])
            room = torch.empty(shape, dtype=new.dtype, device=new.device)
            if length > 0:
                room[:, :, :length] = torch.cat(
                    [getattr(half, name) for half in self._halves]
                )
            made.append(room)
        self._memory = (made[0], made[1])
        return self._memory


class DoubledLM(AmplifiedLM):
    """An `AmplifiedLM` that runs both halves as one batch of 2B rows.

    Args:
        before: The base.
        after: The base with a plain LoRA.
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.
    """

    def __init__(
        self,
        before: PreTrainedModel,
        after: PeftModel,
        *,
        allowed: Tensor | None = None,
        shared: Tensor | None = None,
    ) -> None:
        super().__init__(before, after, allowed=allowed, shared=shared)
        self.doubled = _with_half_lora(self.after)

    def halves(self, cache: Cache | None, **inputs: Any) -> tuple[Tensor, Tensor]:
        """Logits of `after` and of `before`, from one forward."""
        twice = {name: _twice(value) for name, value in inputs.items()}
        logits = self.doubled(past_key_values=self._paired(cache), **twice).logits
        after, before = logits.chunk(2)
        return after, before

    def _paired(self, cache: Cache | None) -> Cache | None:
        if cache is None:
            return None
        paired: Cache | None = getattr(cache, "_lda_views", None)
        if paired is None:
            layers: list[Any] = cache.layers
            pairs: list[CacheLayerMixin] = [
                PairedLayer(a, b)
                for a, b in zip(
                    layers[: self.n_after], layers[self.n_after :], strict=True
                )
            ]
            paired = Cache(layers=pairs)  # type: ignore[arg-type]
            setattr(cache, "_lda_views", paired)  # noqa: B010
        return paired


def is_plain_lora(after: Any) -> bool:
    """Whether an adapter is ordinary LoRA on linear layers, and nothing besides."""
    if not isinstance(after, PeftModel) or len(after.peft_config) != 1:
        return False
    [(name, config)] = after.peft_config.items()
    if not isinstance(config, LoraConfig) or config.modules_to_save:
        return False
    layers: list[Any] = [m for m in after.modules() if isinstance(m, LoraLayer)]
    return all(
        type(layer) is LoraLinear
        and type(layer.base_layer) is nn.Linear
        and not layer.lora_variant
        and not layer.lora_bias.get(name, False)
        and not layer.merged
        for layer in layers
    )


def _with_half_lora(model: PreTrainedModel) -> PreTrainedModel:
    tree: PreTrainedModel = shared_copy(model)
    for path, module in list(tree.named_modules()):
        if isinstance(module, LoraLinear):
            parent, _, name = path.rpartition(".")
            setattr(tree.get_submodule(parent), name, HalfLora(module))
    return tree


def _twice(value: Any) -> Any:
    return torch.cat([value, value]) if isinstance(value, Tensor) else value
