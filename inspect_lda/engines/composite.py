"""Two checkpoints as one causal language model with one cache.

The composite's config says `L_after + L_before` layers, so any cache that is built
for it has room for both halves; each half sees a *view* of its own layers. Views
rather than a layer-index offset: masks and positions are read from layer 0 of the
cache that a model is given, which for an offset `before` would be the already
advanced layer 0 of `after`.
"""

import copy
from typing import Any, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache
from transformers.generation.utils import GenerationMixin

from inspect_lda.decoding.amplify import amplify
from inspect_lda.engines.growing import GrowingLayer
from inspect_lda.engines.halves import (
    AmplifiedOutput,
    Run,
    causal_lm,
    embedding_rows,
    joint_config,
    moved,
    run_part,
    text_config,
)

JOINABLE = frozenset({"full_attention", "sliding_attention", "chunked_attention"})
"""Kinds of layers whose cache has a column a token."""


class AmplifiedLM(PreTrainedModel, GenerationMixin):
    """A checkpoint pair whose logits are `after + alpha * (after - before)`.

    A row's alpha is a forward argument, so `generate(alpha=...)` works, with a number
    or a tensor `[batch]`.

    Args:
        before: Causal LM before training. The same object as `after` makes an
            identity pair, which runs once.
        after: Causal LM after training.
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.
    """

    main_input_name = "input_ids"
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True

    before: PreTrainedModel
    after: PreTrainedModel

    def __init__(
        self,
        before: PreTrainedModel | PeftModel,
        after: PreTrainedModel | PeftModel,
        *,
        allowed: Tensor | None = None,
        shared: Tensor | None = None,
    ) -> None:
        before, after = causal_lm(before), causal_lm(after)
        config = joint_config(after, None if before is after else before)
        super().__init__(config)
        self.after = after
        self.before = before
        self.n_after = text_config(after).num_hidden_layers
        self._before_rows = embedding_rows(before)
        self._smaller = self._before_rows < embedding_rows(after)
        self.allowed = allowed
        self.shared = shared
        self.generation_config = copy.deepcopy(after.generation_config)

    @property
    def is_identity(self) -> bool:
        """Whether both checkpoints are one object."""
        return self.before is self.after

    @property
    def rolls(self) -> bool:
        """Whether rows can join and leave the cache between steps.

        True for attention caches; a recurrent state (linear attention, SSM) can not
        be left-padded into a running batch.
        """
        return self.layer_kinds <= JOINABLE

    @property
    def layer_kinds(self) -> frozenset[str]:
        """What transformers calls the kinds of the layers; empty if all are one."""
        configs = map(text_config, self._parts())
        types = (getattr(config, "layer_types", None) or () for config in configs)
        return frozenset(str(kind) for part in types for kind in part)

    def new_cache(self) -> Cache:
        """Make an empty cache for both halves.

        Layers of models with sliding windows are ordinary growing ones where rows
        roll: the mask applies the window, and left padding can not fall out of it.
        """
        if not self.rolls:
            # Of each part's own config: in some the kinds follow from other fields,
            # which a joint config can not have for both.
            parts = [DynamicCache(config=part.config) for part in self._parts()]
            return Cache(layers=[layer for part in parts for layer in part.layers])
        return Cache(
            layers=[GrowingLayer() for _ in range(self.config.num_hidden_layers)]
        )

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | dict[str, Tensor] | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        alpha: Tensor | float = 1.0,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> AmplifiedOutput:
        """Run both checkpoints on the same ids, positions, mask and shapes."""
        kwargs.pop("return_dict", None)
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        after, before = self.halves(
            past_key_values,
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )
        logits = amplify(after, before, alpha, allowed=self.allowed, shared=self.shared)
        return AmplifiedOutput(
            logits=logits,
            past_key_values=past_key_values,
            after_logits=after,
            before_logits=before,
        )

    def halves(
        self, cache: Cache | None, *, run: Run = run_part, **inputs: Any
    ) -> tuple[Tensor, Tensor]:
        """Logits of `after` and of `before` on the same inputs, not combined.

        Where they are on two devices, both work at the same time.

        Args:
            cache: A cache of this composite.
            run: Runs one of the models that this is made of.
            **inputs: What both are given.
        """
        after_cache, before_cache = self._views(cache)
        if self.is_identity:
            after = run(self.after, after_cache, **inputs)
            return after, after
        # Moved first and moved back last: a copy between devices waits for what is
        # queued on the one it comes from, which soon is all of `after`.
        theirs = moved(inputs, self.before.device)
        theirs["input_ids"] = self.known_to_before(theirs["input_ids"])
        after = run(self.after, after_cache, **inputs)
        before = run(self.before, before_cache, **theirs)
        return after, before.to(after.device)

    def known_to_before(self, ids: Tensor) -> Tensor:
        """Ids that `before` can embed: its end of turn for a token it never had.

        `before` is not resized, because at alpha = -1 it is that checkpoint. A token
        that only `after` has (an added end of turn in the prompt, say) has no row.
        """
        if not self._smaller:
            return ids
        ends = self.before.generation_config.eos_token_id
        end = ends[0] if isinstance(ends, list) else ends or 0
        return torch.where(ids < self._before_rows, ids, end)

    def _parts(self) -> tuple[PreTrainedModel, ...]:
        """The models that one cache serves, in the order of its layers."""
        return (self.after,) if self.is_identity else (self.after, self.before)

    def _views(self, cache: Cache | None) -> tuple[Cache | None, Cache | None]:
        if cache is None:
            return None, None
        # Views share the layer objects, so changing a layer in place keeps them valid.
        views = getattr(cache, "_lda_views", None)
        if views is None or sum(len(v.layers) for v in views) != len(cache.layers):
            views = (
                Cache(layers=cache.layers[: self.n_after]),
                Cache(layers=cache.layers[self.n_after :]),
            )
            setattr(cache, "_lda_views", views)  # noqa: B010
        return views[0], views[1]

    @property
    def device(self) -> torch.device:
        """Device of `after`, where the combination happens."""
        return self.after.device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the forward passes; the combination is float32 always."""
        return self.after.dtype

    def get_input_embeddings(self) -> nn.Module:
        """Embeddings of `after`."""
        return self.after.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """Head of `after`."""
        return cast(nn.Module, self.after.get_output_embeddings())

    def set_attn_implementation(self, *args: Any, **kwargs: Any) -> None:
        """Set the attention implementation of both halves."""
        for model in (self.before, self.after):
            model.set_attn_implementation(*args, **kwargs)
        self.config._attn_implementation = self.after.config._attn_implementation

    # The base class greps a module's source for an experts implementation, which
    # only the halves have; without these overrides every MoE pair fails to build.
    @classmethod
    def _can_set_experts_implementation(cls) -> bool:
        return True

    def set_experts_implementation(self, *args: Any, **kwargs: Any) -> None:
        """Set the experts implementation of both halves."""
        for model in (self.before, self.after):
            model.set_experts_implementation(*args, **kwargs)

    def get_experts_implementation(self) -> Any:
        """Experts implementation of `after`."""
        return self.after.get_experts_implementation()

    def _init_weights(self, module: nn.Module) -> None:
        """Both halves come initialised."""

    def tie_weights(self, *args: Any, **kwargs: Any) -> None:
        """Each half keeps its own tie; never tie across them."""
