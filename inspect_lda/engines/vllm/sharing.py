"""Two halves over one set of base weights (a LoRA pair, an identity pair)."""

from typing import Any

import torch
from torch import nn
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.utils.torch_utils import set_default_torch_dtype


def twin(source: nn.Module, vllm_config: Any, prefix: str) -> nn.Module:
    """A second model over the tensors of a loaded one.

    Its attention layers are its own, so that each half has its own part of the KV
    cache; an adapter that is put on one half leaves the other as it is.

    Args:
        source: A model that vLLM loaded.
        vllm_config: Of the second model: the same checkpoint.
        prefix: Under which its layers are registered.

    Raises:
        ValueError: If something of the second model has no counterpart.
    """
    dtype = set_default_torch_dtype(vllm_config.model_config.dtype)
    with dtype, torch.device("meta"):
        model = initialize_model(vllm_config, prefix=prefix)
    for name, module in source.named_modules(remove_duplicate=False):
        _take_over(module, model.get_submodule(name))
    tensors = [*model.named_parameters(), *model.named_buffers()]
    empty = [name for name, tensor in tensors if tensor.is_meta]
    if empty:
        raise ValueError(
            f"the weights of {vllm_config.model_config.model} cannot be shared by both "
            f"halves: {empty[0]} and {len(empty) - 1} more are not in the loaded model"
        )
    twin_model: nn.Module = model.eval()
    return twin_model


def _take_over(source: nn.Module, target: nn.Module) -> None:
    target._parameters = dict(source._parameters)
    target._buffers = dict(source._buffers)
    # Quantisation methods keep what they prepared after loading, on themselves and as
    # attributes of the layer that no fresh layer has.
    prepared = vars(source)
    if "quant_method" in prepared:
        target.quant_method = prepared["quant_method"]
    for name in prepared.keys() - vars(target).keys():
        vars(target)[name] = prepared[name]
