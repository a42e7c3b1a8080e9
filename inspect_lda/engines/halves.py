"""What the two halves of a composite are, whatever class they have."""

import contextlib
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.modeling_outputs import CausalLMOutputWithPast

Run = Callable[..., Tensor]
"""Runs a model on a cache and inputs, as `run_part` does."""


@dataclass
class AmplifiedOutput(CausalLMOutputWithPast):
    """Output of `AmplifiedLM`: `logits` are amplified, float32, `[batch, n, V]`.

    Attributes:
        after_logits: Logits of `after` alone, `[batch, n, V]`.
        before_logits: Logits of `before` alone, `[batch, n, V_before]`.
    """

    after_logits: Tensor | None = None
    before_logits: Tensor | None = None


def run_part(part: nn.Module, cache: Cache | None, **inputs: Any) -> Tensor:
    """Logits of a causal LM, or the hidden states of a decoder, `[batch, n, ...]`."""
    result: Tensor = part(past_key_values=cache, **inputs)[0]
    return result


def moved(inputs: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The inputs of a model with their tensors on a device."""
    return {name: _moved(value, device) for name, value in inputs.items()}


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Mapping):  # masks by kind of layer
        return moved(value, device)
    return value.to(device) if isinstance(value, Tensor) else value


def causal_lm(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The causal LM inside a PeftModel, or the model itself."""
    # peft injects adapter layers into the base model; calling that directly saves
    # the wrapper's keyword handling on every step.
    if isinstance(model, PeftModel):
        return cast(PreTrainedModel, model.get_base_model())
    return model


def embedding_rows(model: PreTrainedModel) -> int:
    """How many token ids a model can embed."""
    return int(cast(nn.Embedding, model.get_input_embeddings()).weight.shape[0])


def text_config(model: PreTrainedModel) -> PreTrainedConfig:
    """The config of the language model, also where it is one of several parts."""
    return model.config.get_text_config(decoder=True)


def joint_config(
    after: PreTrainedModel, before: PreTrainedModel | None
) -> PreTrainedConfig:
    """A config with the layers of both halves, `after` first; None adds none."""
    config = copy.deepcopy(text_config(after))
    halves = [text_config(after)] + ([] if before is None else [text_config(before)])
    config.num_hidden_layers = sum(half.num_hidden_layers for half in halves)
    types = [getattr(half, "layer_types", None) for half in halves]
    if all(entry is not None for entry in types):
        # Where the kinds are computed from other fields they can not be set; the
        # engine asks each half for its own.
        with contextlib.suppress(AttributeError):
            config.layer_types = [kind for entry in types for kind in entry or ()]
    return config
