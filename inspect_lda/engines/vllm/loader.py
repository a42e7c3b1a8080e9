"""Loads a pair: each half as vLLM loads any checkpoint, then both as one model."""

from typing import Any

import torch
from torch import nn
from vllm.compilation.backends import set_model_tag
from vllm.config import set_current_vllm_config
from vllm.model_executor.model_loader import get_model, register_model_loader
from vllm.model_executor.model_loader.base_loader import BaseModelLoader
from vllm.utils.torch_utils import set_default_torch_dtype

from inspect_lda.engines.vllm.adapter import put_on
from inspect_lda.engines.vllm.config import LOAD_FORMAT, pair_block
from inspect_lda.engines.vllm.halves import HALVES, Which, half_config, half_prefix
from inspect_lda.engines.vllm.sharing import twin


@register_model_loader(LOAD_FORMAT)  # type: ignore[untyped-decorator, unused-ignore]
class PairLoader(BaseModelLoader):  # type: ignore[misc]
    """Set by `PairConfig` for pair directories."""

    def load_model(
        self, vllm_config: Any, model_config: Any, prefix: str = ""
    ) -> nn.Module:
        """The composite, in eval mode.

        Raises:
            ValueError: If a half cannot be loaded or combined.
        """
        from inspect_lda.engines.vllm.model import LDAForCausalLM

        block = pair_block(model_config)
        halves: dict[Which, nn.Module] = {}
        for which in HALVES:
            config = half_config(vllm_config, which)
            name = half_prefix(prefix, which)
            # Each is compiled for itself, so that equal weights give equal logits.
            with set_model_tag(f"lda_{which}"):
                if which == "after" and block.shares_base:
                    halves[which] = twin(halves["before"], config, name)
                else:
                    halves[which] = get_model(vllm_config=config, prefix=name)
        for which in HALVES:
            put_on(halves[which], getattr(block, which), which)
        device = torch.device(vllm_config.device_config.device)
        dtype = set_default_torch_dtype(model_config.dtype)
        with dtype, device, set_current_vllm_config(vllm_config):
            model = LDAForCausalLM(vllm_config=vllm_config, prefix=prefix, **halves)
        return model.eval()

    def download_model(self, model_config: Any) -> None:
        """Nothing: each half's own loader downloads what it reads."""

    def load_weights(self, model: nn.Module, model_config: Any) -> None:
        """Refuse: weights of a pair are not exchanged under a running engine."""
        raise ValueError("the weights of a checkpoint pair cannot be reloaded in place")
