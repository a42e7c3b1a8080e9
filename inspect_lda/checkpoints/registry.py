"""What this process holds: one copy of every checkpoint, whoever asks for it.

Importing this module loads neither torch nor transformers; asking it for a model does.
"""

import threading
from typing import TYPE_CHECKING, Any

from inspect_lda.checkpoints.sides import Side, Sides
from inspect_lda.checkpoints.source import Checkpoint

if TYPE_CHECKING:
    from transformers import (
        PreTrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )

    from inspect_lda.checkpoints.placement import Placement

    Configs = tuple[PreTrainedConfig, PreTrainedConfig]


class Registry:
    """Loaded base models and tokenizers. Callers hold `lock` around every use."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._bases: dict[tuple[Checkpoint, Placement], PreTrainedModel] = {}
        self._tokenizers: dict[tuple[Checkpoint, bool], PreTrainedTokenizerBase] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._bases.clear()
        self._tokenizers.clear()

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
        placement: "Placement",
        adapter_scale: float = 1.0,
    ) -> tuple[Any, Any]:
        """`after` and `before`: two module trees, over one set of tensors if possible.

        Args:
            sides: Which checkpoints.
            configs: Their configs, `after` first.
            placement: How both are held.
            adapter_scale: Multiplies the LoRA scaling of `after`'s adapter.
        """
        from inspect_lda.checkpoints.adapters import with_adapter
        from inspect_lda.checkpoints.weights import shared_copy

        before = self._base(sides.before, configs[1], placement)
        after = self._base(sides.after, configs[0], placement)
        if sides.after.adapter is not None:
            after = with_adapter(after, sides.after, placement, adapter_scale)
        elif after is before:
            # An identity pair: what acts on one side must not act on the other.
            after = shared_copy(after)
        if sides.before.adapter is not None:
            before = with_adapter(before, sides.before, placement)
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
            self._bases[key] = load_base(side.base, side.argument, config, placement)
        return self._bases[key]


def read_configs(sides: Sides, trust_remote_code: bool) -> "Configs":
    """The configs of both bases, `after` first."""
    from inspect_lda.checkpoints.weights import read_config

    after = read_config(sides.after.base, "after", trust_remote_code)
    if sides.before.base == sides.after.base:
        return after, after
    return after, read_config(sides.before.base, "before", trust_remote_code)
