"""The pair directory: a pair written down as one model that other software can load.

It holds no weights: `after`'s config with the `lda` block, `after`'s tokenizer and chat
template, and the ids that end a turn. Both checkpoints are named by absolute directory
or by hub id and commit, so every machine that serves it must find them there.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from inspect_lda.checkpoints.block import (
    ARCHITECTURE,
    KEY,
    HalfBlock,
    IdsBlock,
    PairBlock,
    ranges,
)
from inspect_lda.checkpoints.preflight import check_configs, context_length
from inspect_lda.checkpoints.registry import read_configs
from inspect_lda.checkpoints.sides import Side, Sides, find_sides
from inspect_lda.checkpoints.source import Checkpoint
from inspect_lda.checkpoints.tokenizers import check_tokenizers
from inspect_lda.checkpoints.vocabulary import (
    Vocabulary,
    build_vocabulary,
    end_of_turn_ids,
)
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from inspect_lda.checkpoints.registry import Configs

CONFIG = "config.json"
_END_IDS = ("eos_token_id", "pad_token_id", "bos_token_id")


def write_pair(
    after: str,
    before: str | None,
    out: Path,
    *,
    alpha: float = 1.0,
    trust_remote_code: bool = False,
    allow_mixed_quantization: bool = False,
) -> tuple[str, ...]:
    """Write a pair directory; reads configs and tokenizers, no weights.

    Args:
        after: Checkpoint after the training, as for `PairSpec`.
        before: Checkpoint before it; None if it follows from `after`.
        out: The directory, new or an earlier pair directory.
        alpha: Amplification of requests that name none.
        trust_remote_code: Whether code from a checkpoint may run.
        allow_mixed_quantization: Accept sides that are quantised differently.

    Returns:
        Notes on what was noticed.

    Raises:
        LDAError: If the two are no pair, or the directory holds something else.
    """
    from inspect_lda.checkpoints.weights import read_tokenizer

    sides = find_sides(after, before)
    for side in sides.both:
        _check_servable(side)
    configs = read_configs(sides, trust_remote_code)
    ours, theirs = (
        read_tokenizer(side.tokenizer_home(), side.argument, trust_remote_code)
        for side in sides.both
    )
    notes = [
        *sides.notes,
        *check_configs(*sides.both, configs, allow_mixed_quantization),
        *check_tokenizers(ours, theirs),
    ]
    widths = [config.get_text_config().vocab_size for config in configs]
    vocabulary = build_vocabulary(ours, theirs, *widths)
    ends, end_note = _ends(sides, configs, ours, vocabulary)
    length, length_note = context_length(configs, ours)
    block = PairBlock(
        after=_half(sides.after, configs[0]),
        before=_half(sides.before, configs[1]),
        alpha=alpha,
        ids=_ids(vocabulary, _first(_stored(sides.before, configs[1]), "eos_token_id")),
    )
    _write(out, sides.after.base, block, length, ends)
    ours.save_pretrained(str(out))
    return (*notes, *vocabulary.notes, *filter(None, (end_note, length_note)))


def _check_servable(side: Side) -> None:
    if side.base.gguf_file:
        raise LDAError(
            f"{side.argument}: {side.base.name} is a GGUF file, which a pair directory "
            "cannot name. Give a directory with safetensors."
        )


def _half(side: Side, config: "PreTrainedConfig") -> HalfBlock:
    adapter = side.adapter
    [architecture, *_] = config.architectures or [""]
    if not architecture:
        raise LDAError(
            f"{side.argument}: the config of {side.base.name} names no architecture. "
            "Save the model again with save_pretrained."
        )
    return HalfBlock(
        model=side.base.source,
        revision=side.base.revision,
        adapter=adapter.source if adapter else None,
        adapter_revision=adapter.revision if adapter else None,
        architecture=architecture,
    )


def _ids(vocabulary: Vocabulary, before_end: int) -> IdsBlock:
    return IdsBlock(
        size=vocabulary.size,
        allowed=ranges(vocabulary.allowed.nonzero().flatten().tolist()),
        shared=ranges(vocabulary.shared.nonzero().flatten().tolist()),
        before_end=before_end,
    )


def _ends(
    sides: Sides,
    configs: "Configs",
    tokenizer: "PreTrainedTokenizerBase",
    vocabulary: Vocabulary,
) -> tuple[dict[str, Any], str | None]:
    """A generation config of token ids alone: no sampling setting of a checkpoint."""
    stored = [
        _stored(side, config) for side, config in zip(sides.both, configs, strict=True)
    ]
    ours, theirs = (
        SimpleNamespace(generation_config=SimpleNamespace(**one)) for one in stored
    )
    ends, note = end_of_turn_ids(ours, theirs, tokenizer, vocabulary)
    return {**stored[0], "eos_token_id": sorted(ends)}, note


def _stored(side: Side, config: "PreTrainedConfig") -> dict[str, Any]:
    """Special ids as a loaded model would have them."""
    path = side.base.file("generation_config.json")
    found = json.loads(path.read_text(encoding="utf-8")) if path else {}
    text = config.get_text_config()
    return {
        name: found[name] if found.get(name) is not None else getattr(text, name, None)
        for name in _END_IDS
    }


def _first(stored: dict[str, Any], name: str) -> int:
    value = stored[name]
    return int((value[0] if isinstance(value, list) else value) or 0)


def _write(
    out: Path, base: Checkpoint, block: PairBlock, length: int, ends: dict[str, Any]
) -> None:
    found = base.file(CONFIG)
    if found is None:  # `read_configs` has just read it
        raise LDAError(f"after: {base.name} has no {CONFIG}")
    config = json.loads(found.read_text(encoding="utf-8"))
    # Each half is quantised as its own checkpoint says, the whole is not.
    config.pop("quantization_config", None)
    config["architectures"] = [ARCHITECTURE]
    if isinstance(config.get("max_position_embeddings"), int):
        config["max_position_embeddings"] = length
    config[KEY] = block.model_dump(mode="json", exclude_none=True)
    _claim(out)
    for name, content in ((CONFIG, config), ("generation_config.json", ends)):
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (out / name).write_text(f"{text}\n", encoding="utf-8")


def _claim(out: Path) -> None:
    """Take a new directory, or one of an earlier pair; never a checkpoint's."""
    if out.exists() and not out.is_dir():
        raise LDAError(f"out: {out} is a file. Name a new directory.")
    if out.is_dir() and any(out.iterdir()):
        config = out / CONFIG
        held = (
            json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
        )
        if KEY not in held:
            raise LDAError(
                f"out: {out} is not empty and holds no pair. Name a new directory."
            )
    out.mkdir(parents=True, exist_ok=True)
