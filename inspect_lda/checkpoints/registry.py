"""What this process holds: one copy of every checkpoint, whoever asks for it.

Importing this module loads neither torch nor transformers; asking it for a model does.
"""

import logging
import threading
from typing import TYPE_CHECKING, Any

from inspect_lda.checkpoints.sides import Side, Sides
from inspect_lda.checkpoints.source import Checkpoint

if TYPE_CHECKING:
    from torch import nn
    from transformers import (
        PreTrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )

    from inspect_lda.checkpoints.placement import Placement

    Configs = tuple[PreTrainedConfig, PreTrainedConfig]

logger = logging.getLogger(__name__)


class Registry:
    """Loaded base models and tokenizers. Callers hold `lock` around every use."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._bases: dict[tuple[Checkpoint, Placement], PreTrainedModel] = {}
        self._heads: dict[tuple[Checkpoint, Placement], dict[int, nn.Parameter]] = {}
        self._tokenizers: dict[tuple[Checkpoint, bool], PreTrainedTokenizerBase] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._bases.clear()
        self._heads.clear()
        self._tokenizers.clear()

    def forget(self, sides: Sides) -> None:
        """Forget the base of `after`, unless it is also that of `before`."""
        for key in [one for one in self._bases if one[0] == sides.after.base]:
            if key[0] != sides.before.base:
                del self._bases[key]
                self._heads.pop(key, None)

    def tokenizer(
        self, side: Side, trust_remote_code: bool
    ) -> "PreTrainedTokenizerBase":
        """The tokenizer of one side."""
        from inspect_lda.checkpoints.weights import read_tokenizer

        key = (side.tokenizer_home(), trust_remote_code)
        if key not in self._tokenizers:
            self._tokenizers[key] = read_tokenizer(
                key[0], side.argument, trust_remote_code
            )
        return self._tokenizers[key]

    def models(
        self,
        sides: Sides,
        configs: "Configs",
        placements: "tuple[Placement, Placement]",
        adapter_scale: float = 1.0,
        head_dtype: str = "auto",
    ) -> tuple[Any, Any]:
        """`after` and `before`: two module trees, over one set of tensors if possible.

        Args:
            sides: Which checkpoints.
            configs: Their configs, `after` first.
            placements: How each is held, `after` first.
            adapter_scale: Multiplies the LoRA scaling of `after`'s adapter.
            head_dtype: "float32" for heads in float32, "auto" for the body's dtype.
        """
        from inspect_lda.checkpoints.adapters import with_adapter
        from inspect_lda.checkpoints.heads import with_float32_head
        from inspect_lda.checkpoints.weights import shared_copy

        after, before = self._both_bases(sides, configs, placements)
        wide = None
        if head_dtype == "float32" and placements[0].dtype != "float32":
            wide = self._wide_heads(sides, placements, (after, before))
        if sides.after.adapter is not None:
            after = with_adapter(after, sides.after, placements[0], adapter_scale)
        elif after is before:
            # An identity pair: what acts on one side must not act on the other.
            after = shared_copy(after)
        if sides.before.adapter is not None:
            before = with_adapter(before, sides.before, placements[1])
        if wide is not None:
            return with_float32_head(after, wide), with_float32_head(before, wide)
        return after, before

    def _both_bases(
        self,
        sides: Sides,
        configs: "Configs",
        placements: "tuple[Placement, Placement]",
    ) -> tuple[Any, Any]:
        ours, theirs = zip(
            (sides.after.base, sides.before.base), placements, strict=True
        )
        fresh = {key for key in (ours, theirs) if key not in self._bases}
        before = self._base(sides.before, configs[1], placements[1])
        after = self._base(sides.after, configs[0], placements[0])
        # Only of a model that was loaded just now is it known that nothing runs on it.
        if after is not before and ours in fresh:
            _share(after, before)
        elif after is not before and theirs in fresh:
            _share(before, after)
        return after, before

    def _base(
        self, side: Side, config: "PreTrainedConfig", placement: "Placement"
    ) -> Any:
        from inspect_lda.checkpoints.weights import load_base

        key = (side.base, placement)
        if key not in self._bases:
            # Of a directory that was written again, the old weights are of no use.
            for old in [one for one in self._bases if not one[0].is_current()]:
                del self._bases[old]
                self._heads.pop(old, None)
            self._bases[key] = load_base(side.base, side.argument, config, placement)
        return self._bases[key]

    def _wide_heads(
        self,
        sides: Sides,
        placements: "tuple[Placement, Placement]",
        bases: tuple[Any, Any],
    ) -> "dict[int, nn.Parameter]":
        """Float32 copies of both bases' heads, made once, by the address copied."""
        from inspect_lda.checkpoints.heads import float32_copies

        known: dict[int, nn.Parameter] = {}
        for side, placement, base in zip(sides.both, placements, bases, strict=True):
            key = (side.base, placement)
            if key not in self._heads:
                self._heads[key] = float32_copies(base, side, known)
            known |= self._heads[key]
        return known


def _share(fresh: Any, held: Any) -> None:
    from inspect_lda.checkpoints.sharing import share_equal

    shared, total = share_equal(fresh, held)
    if shared:
        logger.info(
            "%.1f of %.1f MB of weights are equal in both checkpoints: held once",
            shared / 1e6,
            total / 1e6,
        )


def read_configs(sides: Sides, trust_remote_code: bool) -> "Configs":
    """The configs of both bases, `after` first."""
    from inspect_lda.checkpoints.weights import read_config

    after = read_config(sides.after.base, "after", trust_remote_code)
    if sides.before.base == sides.after.base:
        return after, after
    return after, read_config(sides.before.base, "before", trust_remote_code)
