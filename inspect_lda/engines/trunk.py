"""Pairs that differ only in their upper layers run the lower ones once.

An adapter on the top 8 of 30 layers leaves 22 layers that compute the same numbers in
both checkpoints. They become a trunk; each checkpoint keeps its own top. All three are
ordinary models of the checkpoint's class over the same tensors, so nothing is known
here about attention, rotary positions or norms, and a probe at load shows that the
logits are those of the two whole models, or the pair is run whole.
"""

import copy
import logging
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from inspect_lda.engines.composite import AmplifiedLM

logger = logging.getLogger(__name__)

FINAL_NORMS = ("norm", "final_layer_norm")
PROBE = [[11, 7, 5, 3, 9, 4, 6, 8], [0, 0, 0, 5, 8, 10, 6, 4]]


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

    def halves(self, cache: Cache | None, **inputs: Any) -> tuple[Tensor, Tensor]:
        """Logits of `after` and of `before`, the trunk run once."""
        trunk_cache, after_cache, before_cache = self._three_views(cache)
        ids = inputs.pop("input_ids")
        keep = inputs.pop("logits_to_keep", 0)
        hidden = self.trunk(
            input_ids=ids, past_key_values=trunk_cache, **inputs
        ).last_hidden_state
        after, before = (
            top(
                inputs_embeds=hidden,
                past_key_values=view,
                logits_to_keep=keep,
                **inputs,
            ).logits
            for top, view in (
                (self.after_top, after_cache),
                (self.before_top, before_cache),
            )
        )
        return after, before

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


def amplified_lm(
    before: PreTrainedModel | PeftModel,
    after: PreTrainedModel | PeftModel,
    *,
    allowed: Tensor | None = None,
    shared: Tensor | None = None,
) -> AmplifiedLM:
    """The fastest composite that gives exactly the logits of both checkpoints."""
    whole = AmplifiedLM(before, after, allowed=allowed, shared=shared)
    depth = 0 if whole.is_identity else shared_depth(whole.after, whole.before)
    if depth == 0:
        return whole
    try:
        split = TrunkLM(before, after, depth, allowed=allowed, shared=shared)
        same = _same_logits(whole, split)
    except (AttributeError, TypeError, ValueError) as error:
        logger.info("no shared trunk for %s: %s", type(whole.after).__name__, error)
        return whole
    if not same:
        logger.info("no shared trunk: its logits differ from those of whole models")
        return whole
    logger.info("the first %d of %d layers run once", depth, whole.n_after)
    return split


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
    trunk = _shared_copy(model.get_decoder())
    trunk.layers = trunk.layers[:depth]
    for name in FINAL_NORMS:
        if hasattr(trunk, name):
            setattr(trunk, name, nn.Identity())
    _set_layers(trunk.config, 0, depth)
    return trunk


def _top(model: PreTrainedModel, depth: int) -> Any:
    top = _shared_copy(model)
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


def _shared_copy(module: nn.Module) -> Any:
    tensors = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(one): one for one in tensors})


@torch.inference_mode()
def _same_logits(whole: AmplifiedLM, split: TrunkLM) -> bool:
    ids = torch.tensor(PROBE, device=whole.device)
    mask = (ids > 0).long()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    answers = []
    for model in (whole, split):
        cache = model.new_cache()
        first = model.halves(
            cache,
            input_ids=ids[:, :-1],
            attention_mask=mask[:, :-1],
            position_ids=positions[:, :-1],
            use_cache=True,
        )
        second = model.halves(
            cache,
            input_ids=ids[:, -1:],
            attention_mask=mask,
            position_ids=positions[:, -1:],
            use_cache=True,
        )
        answers.append([*(logits[1, 3:] for logits in first), *second])
    return all(torch.equal(a, b) for a, b in zip(*answers, strict=True))
