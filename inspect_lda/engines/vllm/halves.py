"""vLLM's configuration of one half of a pair."""

import copy
from typing import Any, Literal

from vllm.config import ModelConfig
from vllm.config.utils import replace

from inspect_lda.checkpoints.block import HalfBlock
from inspect_lda.engines.vllm.config import HALVES_LOAD_FORMAT, pair_block

Which = Literal["before", "after"]
HALVES: tuple[Which, Which] = ("before", "after")


def half_prefix(prefix: str, which: Which) -> str:
    """Under which a half's layers stand in the composite and in the KV cache."""
    return f"{prefix}.{which}" if prefix else which


def half_config(vllm_config: Any, which: Which) -> Any:
    """A `VllmConfig` whose model is one half.

    The checkpoint, its quantisation and how it is read are its own; everything else
    (parallelism, cache, scheduler, compilation) is the composite's, the same objects.

    Raises:
        ValueError: If the half is of a kind that cannot be combined.
    """
    whole = vllm_config.model_config
    half: HalfBlock = getattr(pair_block(whole), which)
    # Amplification multiplies the rounding of a half-precision head.
    overrides = {"head_dtype": "float32"}
    model = ModelConfig(
        model=half.model,
        revision=half.revision,
        tokenizer=whole.tokenizer,
        skip_tokenizer_init=True,
        trust_remote_code=whole.trust_remote_code,
        dtype=whole.dtype,
        seed=whole.seed,
        max_model_len=whole.max_model_len,
        quantization=whole.quantization,
        enforce_eager=whole.enforce_eager,
        max_logprobs=whole.max_logprobs,
        hf_overrides=overrides,
    )
    if model.is_hybrid or model.is_attention_free:
        raise ValueError(
            f"{which}: {half.model} has recurrent layers, which this engine cannot "
            "combine; use -M engine=transformers"
        )
    load = copy.copy(vllm_config.load_config)
    load.load_format = getattr(whole.hf_config, HALVES_LOAD_FORMAT, "auto")
    return replace(vllm_config, model_config=model, load_config=load, quant_config=None)
