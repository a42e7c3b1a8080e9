"""What a config alone can tell, before gigabytes are read."""

from typing import TYPE_CHECKING, Any

from inspect_lda.checkpoints.sides import Side
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

# Recurrent families whose config lists no layer types.
_RECURRENT = frozenset({"rwkv", "xlstm"})
_LENGTHS = ("max_position_embeddings", "max_seq_len", "n_ctx", "seq_length")
_SANE_LENGTH = 10_000_000
_FALLBACK_LENGTH = 2048


def check_configs(
    after: Side,
    before: Side,
    configs: "tuple[PreTrainedConfig, PreTrainedConfig]",
    allow_mixed_quantization: bool,
) -> tuple[str, ...]:
    """Refuse pairs that cannot work.

    Returns:
        Notes on what works but should be known.

    Raises:
        LDAError: On an architecture without an attention cache, an encoder-decoder, or
            sides that are quantised differently.
    """
    for side, config in zip((after, before), configs, strict=True):
        _check_architecture(side, config)
    notes = _check_quantization(after, before, configs, allow_mixed_quantization)
    gguf = [side.argument for side in (after, before) if side.base.gguf_file]
    if len(gguf) == 1:
        notes.append(
            f"{gguf[0]} comes from a GGUF file and is dequantised; if its weights were "
            "quantised, their rounding is part of the difference that is amplified"
        )
    return tuple(notes)


def context_length(
    configs: "tuple[PreTrainedConfig, PreTrainedConfig]",
    tokenizer: "PreTrainedTokenizerBase",
) -> tuple[int, str | None]:
    """The shorter of both context windows, and a note if it had to be guessed."""
    known = [length for one in configs if (length := _length(one)) is not None]
    if known:
        return min(known), None
    if tokenizer.model_max_length < _SANE_LENGTH:
        return int(tokenizer.model_max_length), None
    return _FALLBACK_LENGTH, (
        f"neither checkpoint states a context length: {_FALLBACK_LENGTH} is assumed"
    )


def _length(config: "PreTrainedConfig") -> int | None:
    text = config.get_text_config()
    values = (getattr(text, name, None) for name in _LENGTHS)
    return next((one for one in values if isinstance(one, int) and one > 0), None)


def _check_architecture(side: Side, config: "PreTrainedConfig") -> None:
    text = config.get_text_config()
    if config.is_encoder_decoder:
        raise LDAError(
            f"{side.argument}: {side.base.name} is an encoder-decoder "
            f"('{config.model_type}'). Only causal language models can be amplified."
        )
    kinds = [str(one) for one in getattr(text, "layer_types", None) or ()]
    recurrent = text.model_type in _RECURRENT or (
        bool(kinds) and not any(map(_attends, kinds))
    )
    if recurrent:
        raise LDAError(
            f"{side.argument}: {side.base.name} ('{text.model_type}') has no attention "
            "layers and so no key-value cache that two models could share. Allowed are "
            "architectures with attention in at least some layers; a pure state-space "
            "or recurrent model cannot be amplified by this engine."
        )


def _attends(kind: str) -> bool:
    return kind == "hybrid" or (
        "attention" in kind and not kind.startswith("linear_attention")
    )


def _check_quantization(
    after: Side,
    before: Side,
    configs: "tuple[PreTrainedConfig, PreTrainedConfig]",
    allowed: bool,
) -> list[str]:
    ours, theirs = (quantization(config) for config in configs)
    if ours == theirs:
        return []
    text = (
        f"after ({after.base.name}) is {ours or 'not quantised'}, before "
        f"({before.base.name}) is {theirs or 'not quantised'}"
    )
    if not allowed:
        raise LDAError(
            f"before: {text}. The rounding of one side would be amplified together "
            "with the training. Give both sides in the same format, or accept it with "
            "-M allow_mixed_quantization=true."
        )
    return [f"{text}: the difference holds quantisation error"]


def quantization(config: "PreTrainedConfig") -> str | None:
    """Method and width, e.g. "bitsandbytes 4-bit"; None for plain weights."""
    found: Any = getattr(config, "quantization_config", None)
    if not found:
        return None
    values = found if isinstance(found, dict) else found.to_dict()
    method = str(values.get("quant_method", "quantised"))
    method = method.rsplit(".", 1)[-1].lower()
    bits = values.get("bits")
    if values.get("load_in_4bit") or values.get("_load_in_4bit"):
        bits = 4
    elif values.get("load_in_8bit") or values.get("_load_in_8bit"):
        bits = 8
    return f"{method} {bits}-bit" if bits else method
