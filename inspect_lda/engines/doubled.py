"""A plain LoRA and its base as one forward with doubled rows.

The weights of the base are read once for both checkpoints: rows `[0, B)` are `after`
and get the adapter's update, rows `[B, 2B)` are `before` and do not. On small batches,
where reading weights is the cost, that is up to twice as fast as two passes. Only
ordinary LoRA on linear layers is run this way; everything else runs as two models.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from inspect_lda.checkpoints.weights import shared_copy
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.halves import Run, run_part
from inspect_lda.engines.paired import paired, pairs
from inspect_lda.engines.trunk import TrunkLM

ROWS = ("input_ids", "inputs_embeds", "attention_mask", "position_ids")
"""Inputs with one entry a row."""


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

    def halves(
        self, cache: Cache | None, *, run: Run = run_part, **inputs: Any
    ) -> tuple[Tensor, Tensor]:
        """Logits of `after` and of `before`, from one forward."""
        if not pairs(cache):
            return super().halves(cache, run=run, **inputs)
        twice = partial(run, self.doubled)
        return _run_twice(twice, *self._views(cache), inputs)


class DoubledTrunkLM(TrunkLM):
    """A `TrunkLM` whose tops run as one batch of 2B rows.

    Args:
        before: The base.
        after: The base with a plain LoRA on its upper layers.
        depth: How many layers are equal.
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.
    """

    def __init__(
        self,
        before: PreTrainedModel,
        after: PeftModel,
        depth: int,
        *,
        allowed: Tensor | None = None,
        shared: Tensor | None = None,
    ) -> None:
        super().__init__(before, after, depth, allowed=allowed, shared=shared)
        self.doubled = _with_half_lora(self.after_top)

    def tops(
        self,
        after_cache: Cache | None,
        before_cache: Cache | None,
        *,
        run: Run = run_part,
        **inputs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Logits of both tops, from one forward."""
        if not pairs(after_cache):
            return super().tops(after_cache, before_cache, run=run, **inputs)
        twice = partial(run, self.doubled)
        return _run_twice(twice, after_cache, before_cache, inputs)


def _run_twice(
    run: Callable[..., Tensor],
    after_cache: Cache | None,
    before_cache: Cache | None,
    inputs: dict[str, Any],
) -> tuple[Tensor, Tensor]:
    rows = inputs[next(name for name in ROWS if inputs.get(name) is not None)].shape[0]
    twice = {name: _twice(name, value, rows) for name, value in inputs.items()}
    cache = None
    if after_cache is not None and before_cache is not None:
        cache = paired(after_cache, before_cache)
    after, before = run(cache, **twice).chunk(2)
    return after, before


def joint_layers(model: AmplifiedLM) -> list[tuple[int, ...]]:
    """Which layers of a composite's cache one forward extends, as one of more rows."""
    if not isinstance(model, (DoubledLM, DoubledTrunkLM)):
        return [(index,) for index in range(model.config.num_hidden_layers)]
    depth = model.depth if isinstance(model, TrunkLM) else 0
    top = model.n_after - depth
    alone: list[tuple[int, ...]] = [(index,) for index in range(depth)]
    return alone + [(depth + index, model.n_after + index) for index in range(top)]


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
    tree = shared_copy(model)
    for path, module in list(tree.named_modules()):
        if isinstance(module, LoraLinear):
            parent, _, name = path.rpartition(".")
            setattr(tree.get_submodule(parent), name, HalfLora(module))
    return tree


def _twice(name: str, value: Any, rows: int) -> Any:
    # A single row that stands for all of them stays single.
    if name in ROWS and isinstance(value, Tensor) and value.shape[0] == rows:
        return torch.cat([value, value])
    return value
