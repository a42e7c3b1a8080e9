"""What serving a pair means for vLLM's configuration; refuses what cannot be right."""

from typing import Any

from vllm.model_executor.models.config import MODELS_CONFIG_MAP, VerifyAndUpdateConfig

from inspect_lda.checkpoints.block import PairBlock
from inspect_lda.engines.vllm.describe import publish
from inspect_lda.engines.vllm.record import MOST_COLUMNS

LOAD_FORMAT = "lda"
"""vLLM's name of our loader."""

HALVES_LOAD_FORMAT = "lda_load_format"
"""Attribute of the config: how the user wants each half to be read."""

_VALIDATORS = {
    True: "inspect_lda.engines.vllm.validate_v2:ValidateRequest",
    False: "inspect_lda.engines.vllm.validate_v1:ValidateRequest",
}
# These draft from token ids alone; others read hidden states, of which a pair has two.
_DRAFTS = ("ngram", "suffix", "draft_model")


def pair_block(model_config: Any) -> PairBlock:
    """The `lda` block of a vLLM `ModelConfig`.

    Raises:
        LDAError: If it has none, or it is not valid.
    """
    return PairBlock.of(vars(model_config.hf_config), str(model_config.model))


class PairConfig(VerifyAndUpdateConfig):  # type: ignore[misc]
    """Runs once, in the process that builds vLLM's configuration."""

    @staticmethod
    def verify_and_update_config(vllm_config: Any) -> None:
        """Check the configuration and take over loading and validation.

        Raises:
            ValueError: If something was asked for that a pair cannot do.
        """
        model_config = vllm_config.model_config
        block = pair_block(model_config)
        _refuse(vllm_config)
        publish(block, model_config)
        # A model's own hook would not be called, for it no longer goes by its name.
        for name in dict.fromkeys(
            (block.after.architecture, block.before.architecture)
        ):
            own = MODELS_CONFIG_MAP.get(name)
            if own is not None:
                own.verify_and_update_config(vllm_config)
        load = vllm_config.load_config
        if load.load_format != LOAD_FORMAT:
            setattr(model_config.hf_config, HALVES_LOAD_FORMAT, load.load_format)
            load.load_format = LOAD_FORMAT
        # It assumes that a model's expert layers are counted from its own first one.
        vllm_config.compilation_config.fast_moe_cold_start = False
        validator = _VALIDATORS[bool(vllm_config.use_v2_model_runner)]
        # What a pair says of a token it drew is more than the 20 that vLLM allows.
        if model_config.max_logprobs != -1:
            model_config.max_logprobs = max(model_config.max_logprobs, MOST_COLUMNS)
        given = list(model_config.logits_processors or [])
        if validator not in given:
            model_config.logits_processors = [*given, validator]


def _refuse(vllm_config: Any) -> None:
    model, parallel = vllm_config.model_config, vllm_config.parallel_config
    speculative = vllm_config.speculative_config
    problems = {
        "dual batch overlap (--enable-dbo)": parallel.use_ubatching,
        "prefill context parallelism": (
            getattr(parallel, "prefill_context_parallel_size", 1) > 1
        ),
        "prompt embeddings (--enable-prompt-embeds)": model.enable_prompt_embeds,
        "sleep mode (--enable-sleep-mode)": getattr(model, "enable_sleep_mode", False),
    }
    if speculative is not None:
        method = speculative.method
        problems[f"speculative method {method!r}"] = method not in _DRAFTS
        # It refuses validators together with drafts, and an unchecked alpha would end
        # the engine instead of one request.
        problems[
            "speculation under Model Runner V1"
        ] = not vllm_config.use_v2_model_runner
    for name, asked in problems.items():
        if asked:
            raise ValueError(
                f"{name} does not work with a checkpoint pair; leave it out"
            )
