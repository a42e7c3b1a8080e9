"""What the two halves of a composite are, whatever class they have."""

import contextlib
import copy
from typing import cast

from peft import PeftModel
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel


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
