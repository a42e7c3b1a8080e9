"""Pairs that differ only in their upper layers run the lower ones once.

An adapter on the top 8 of 30 layers leaves 22 layers that compute the same numbers in
both checkpoints. They become a trunk; each checkpoint keeps its own top. All three are
ordinary models of the checkpoint's class over the same tensors, so nothing is known
here about attention, rotary positions or norms, and a probe at load shows that the
logits are those of the two whole models, or the pair is run whole.
"""

from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from inspect_lda.checkpoints.weights import shared_copy
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.halves import Run, run_part

FINAL_NORMS = ("norm", "final_layer_norm")


class TrunkLM(AmplifiedLM):
    """An `AmplifiedLM` whose halves share their first `depth` layers.

    Args:
        before: Causal LM before training.
        after: Causal LM after training, equal to `before` in its first layers.
        depth: How many layers are equal.
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.
    """

    def __init__(
        self,
        before: PreTrainedModel | PeftModel,
        after: PreTrainedModel | PeftModel,
        depth: int,
        *,
        allowed: Tensor | None = None,
        shared: Tensor | None = None,
    ) -> None:
        super().__init__(before, after, allowed=allowed, shared=shared)
        self.depth = depth
        top = self.n_after - depth
        types = getattr(self.config, "layer_types", None)
        if types is not None:
            upper = list(types[depth : self.n_after])
            self.config.layer_types = [*types[:depth], *upper, *upper]
        self.config.num_hidden_layers = depth + 2 * top
        self.trunk = _trunk(self.after, depth)
        self.after_top = _top(self.after, depth)
        self.before_top = _top(self.before, depth)

    def halves(
        self, cache: Cache | None, *, run: Run = run_part, **inputs: Any
    ) -> tuple[Tensor, Tensor]:
        """Logits of `after` and of `before`, the trunk run once."""
        trunk_cache, after_cache, before_cache = self._three_views(cache)
        ids = inputs.pop("input_ids")
        keep = inputs.pop("logits_to_keep", 0)
        inputs["inputs_embeds"] = run(self.trunk, trunk_cache, input_ids=ids, **inputs)
        caches = (after_cache, before_cache)
        return self.tops(*caches, run=run, logits_to_keep=keep, **inputs)

    def tops(
        self,
        after_cache: Cache | None,
        before_cache: Cache | None,
        *,
        run: Run = run_part,
        **inputs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Logits of both tops, from the trunk's output."""
        after = run(self.after_top, after_cache, **inputs)
        before = run(self.before_top, before_cache, **inputs)
        return after, before

    def _parts(self) -> tuple[PreTrainedModel, ...]:
        return self.trunk, self.after_top, self.before_top

    def _three_views(self, cache: Cache | None) -> tuple[Cache | None, ...]:
        if cache is None:
            return None, None, None
        views: tuple[Cache, ...] | None = getattr(cache, "_lda_views", None)
        if views is None or sum(len(v.layers) for v in views) != len(cache.layers):
            ends = (self.depth, self.n_after)
            views = (
                Cache(layers=cache.layers[: ends[0]]),
                Cache(layers=cache.layers[ends[0] : ends[1]]),
                Cache(layers=cache.layers[ends[1] :]),
            )
            setattr(cache, "_lda_views", views)  # noqa: B010
        return views


def shared_depth(after: PreTrainedModel, before: PreTrainedModel) -> int:
    """How many of the first layers are the same tensors in both models.

    0 also when the embeddings differ, or when the class keeps its layers where they
    are not found.
    """
    lower, upper = after.get_decoder(), before.get_decoder()
    if not hasattr(lower, "layers") or type(after) is not type(before):
        return 0
    if _tensors(after.get_input_embeddings()) != _tensors(
        before.get_input_embeddings()
    ):
        return 0
    depth = 0
    for ours, theirs in zip(lower.layers, upper.layers, strict=False):
        if _tensors(ours) != _tensors(theirs):
            break
        depth += 1
    # The tops keep at least one layer each, which their caches are read from.
    return min(depth, len(lower.layers) - 1, len(upper.layers) - 1)


def _tensors(module: nn.Module) -> list[tuple[str, int, torch.Size]]:
    state = [*module.named_parameters(), *module.named_buffers()]
    return [(name, tensor.data_ptr(), tensor.shape) for name, tensor in state]


def _trunk(model: PreTrainedModel, depth: int) -> Any:
    trunk: Any = shared_copy(model.get_decoder())
    trunk.layers = trunk.layers[:depth]
    for name in FINAL_NORMS:
        if hasattr(trunk, name):
            setattr(trunk, name, nn.Identity())
    _set_layers(trunk.config, 0, depth)
    return trunk


def _top(model: PreTrainedModel, depth: int) -> Any:
    top: Any = shared_copy(model)
    decoder = top.get_decoder()
    decoder.layers = decoder.layers[depth:]
    for module in decoder.layers.modules():
        index = getattr(module, "layer_idx", None)
        if isinstance(index, int):
            module.layer_idx = index - depth
    _set_layers(decoder.config, depth, None)
    return top


def _set_layers(config: Any, start: int, stop: int | None) -> None:
    types = getattr(config, "layer_types", None)
    total = range(config.num_hidden_layers)[start:stop]
    if types is not None:
        config.layer_types = list(types[start:stop])
    config.num_hidden_layers = len(total)
