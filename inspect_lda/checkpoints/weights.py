"""Reading configs, tokenizers and weights with transformers, its errors translated."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from inspect_lda.checkpoints.explain import explain
from inspect_lda.checkpoints.placement import SPREAD, Placement
from inspect_lda.checkpoints.sides import Side
from inspect_lda.checkpoints.source import Checkpoint
from inspect_lda.errors import LDAError


def read_config(
    checkpoint: Checkpoint, argument: str, trust_remote_code: bool
) -> PreTrainedConfig:
    """A checkpoint's config.

    Raises:
        LDAError: If it cannot be read.
    """
    options = _source_options(checkpoint, trust_remote_code)
    try:
        with quiet():
            config = AutoConfig.from_pretrained(checkpoint.source, **options)
    except Exception as error:  # whatever it is, the user must learn which argument
        raise explain(error, argument, checkpoint) from error
    found: PreTrainedConfig = config
    return found


def read_tokenizer(
    checkpoint: Checkpoint, argument: str, trust_remote_code: bool
) -> PreTrainedTokenizerBase:
    """A checkpoint's tokenizer.

    Raises:
        LDAError: If it has none or it cannot be read.
    """
    missing = LDAError(
        f"{argument}: no tokenizer in {checkpoint.name}. Copy tokenizer.json and "
        "tokenizer_config.json of the model it was trained from into it "
        "(tokenizer.save_pretrained)."
    )
    # Some tokenizer classes would start empty rather than fail.
    if checkpoint.lacks_tokenizer():
        raise missing
    options = _source_options(checkpoint, trust_remote_code)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(checkpoint.source, **options)
    except Exception as error:
        if "instantiate the backend tokenizer" in str(error):
            raise missing from error
        raise explain(error, argument, checkpoint) from error
    found: PreTrainedTokenizerBase = tokenizer
    return found


def load_base(
    checkpoint: Checkpoint,
    argument: str,
    config: PreTrainedConfig,
    placement: Placement,
) -> PreTrainedModel:
    """A full checkpoint in eval mode, without gradients.

    Raises:
        LDAError: If weights are missing or damaged, or memory runs out.
    """
    options = _weight_options(checkpoint, placement)
    try:
        with quiet():
            answer: Any = AutoModelForCausalLM.from_pretrained(
                checkpoint.source, **options
            )
    except Exception as error:
        raise explain(
            error, argument, checkpoint, config, placement.dtype, placement.device
        ) from error
    model, info = answer
    # transformers fills these with random numbers and only warns.
    if absent := sorted(info["missing_keys"]):
        raise LDAError(
            f"{argument}: {checkpoint.name} lacks {len(absent)} weights of a "
            f"'{config.model_type}' causal LM, which would be random; the first is "
            f"'{absent[0]}'. Copy the checkpoint again, or give a causal LM."
        )
    loaded: PreTrainedModel = model.eval().requires_grad_(False)
    loaded.generation_config = _token_ids_only(loaded)
    return loaded


def shared_copy(model: PreTrainedModel) -> PreTrainedModel:
    """A second module tree over the same parameters and buffers.

    An adapter put on the copy leaves the original as it is, and the tensors are held
    once.
    """
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(one): one for one in tensors})


def logit_width(model: Any, side: Side, placement: Placement) -> int:
    """Width of the logits, from one forward pass over one token.

    The pass also shows at load time what would otherwise fail amid an eval: a kernel
    that does not run, or activations that overflow the dtype.

    Raises:
        LDAError: If the pass fails or gives NaN.
    """
    try:
        device = model.get_input_embeddings().weight.device
        with torch.inference_mode():
            token = torch.zeros((1, 1), dtype=torch.long, device=device)
            logits = model(input_ids=token, use_cache=False).logits
    except Exception as error:
        raise explain(
            error, side.argument, side.base, None, placement.dtype, placement.device
        ) from error
    if bool(logits.isnan().any()):
        raise LDAError(
            f"{side.argument}: {side.name} gives NaN in {placement.dtype}: its weights "
            "are damaged or its activations overflow. Try -M dtype=bfloat16 or "
            "-M dtype=float32."
        )
    return int(logits.shape[-1])


def _source_options(checkpoint: Checkpoint, trust_remote_code: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if checkpoint.revision:
        options["revision"] = checkpoint.revision
    if checkpoint.gguf_file:
        options["gguf_file"] = checkpoint.gguf_file
    return options


def _weight_options(checkpoint: Checkpoint, placement: Placement) -> dict[str, Any]:
    options: dict[str, Any] = {
        **_source_options(checkpoint, placement.trust_remote_code),
        **_gguf_options(checkpoint),
        "dtype": placement.dtype,
        "attn_implementation": placement.attn_implementation,
        "output_loading_info": True,
    }
    if placement.device == SPREAD:
        options["device_map"] = SPREAD
    elif placement.device != "cpu":
        options["device_map"] = {"": placement.device}
    return options


def _gguf_options(checkpoint: Checkpoint) -> dict[str, Any]:
    if not checkpoint.gguf_file:
        return {}
    try:
        from transformers import GgufConfig
    except ImportError:  # older versions dequantize without being asked
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


def _token_ids_only(model: PreTrainedModel) -> GenerationConfig:
    """Sampling settings of the checkpoint would change the distribution measured."""
    stored = model.generation_config or GenerationConfig()
    text = model.config.get_text_config()
    names = ("eos_token_id", "pad_token_id", "bos_token_id")
    ids = {
        name: stored_id
        if (stored_id := getattr(stored, name, None)) is not None
        else getattr(text, name, None)
        for name in names
    }
    return GenerationConfig(**ids)


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of the libraries (ours say what matters); progress bars stay."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)
