"""The two sides of a pair: which base checkpoint, and which adapter on top of it.

This is where `before` defaults to an adapter's base, where `demo/` names are looked up
and where an adapter given with a stranger as its base is refused. No torch, no weights.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_lda.checkpoints.block import KEY, HalfBlock, PairBlock
from inspect_lda.checkpoints.source import Checkpoint, is_path_like, locate
from inspect_lda.errors import LDAError

DEMO = "demo/"
ADAPTER_CONFIG = "adapter_config.json"
_REPACKAGED = re.compile(
    r"(-(unsloth|bnb|[48]bit|hf|gptq|awq|gguf|int[48]))+$", re.IGNORECASE
)


@dataclass(frozen=True)
class Side:
    """One of the two models.

    Attributes:
        base: The checkpoint whose weights are loaded.
        adapter: PEFT adapter on top of it, if any.
        name: Canonical name for logs.
        argument: `after` or `before`, for error messages.
    """

    base: Checkpoint
    adapter: Checkpoint | None
    name: str
    argument: str

    def tokenizer_home(self) -> Checkpoint:
        """The adapter's own tokenizer if it was saved with one, else the base's."""
        if self.adapter is not None and not self.adapter.lacks_tokenizer():
            return self.adapter
        return self.base


@dataclass(frozen=True)
class Sides:
    """Both sides, and what was noticed on the way."""

    after: Side
    before: Side
    notes: tuple[str, ...]

    @property
    def both(self) -> tuple[Side, Side]:
        """`after` and `before`."""
        return self.after, self.before

    def are_current(self) -> bool:
        """Whether no checkpoint directory was written since they were found."""
        found = [one for side in self.both for one in (side.base, side.adapter) if one]
        return all(one.is_current() for one in found)


def find_sides(after: str, before: str | None) -> Sides:
    """Locate both sides of a pair.

    Raises:
        LDAError: If a checkpoint is missing, if `before` is missing and does not follow
            from `after`, or if `after` is an adapter of another base than `before`.
    """
    if after.startswith(DEMO):
        return _demo_sides(after, before)
    found = locate(after, "after")
    if (block := _written_pair(found)) is not None:
        return _block_sides(block, after, before)
    record = _adapter_record(found, "after")
    if before is None:
        if record is None:
            raise LDAError(
                f"before: missing. '{after}' is a full checkpoint, so the checkpoint "
                "from before the training must be named: -M before=<checkpoint>. Only "
                "for a PEFT adapter or demo/<organism> does it follow from `after`."
            )
        base = _recorded_base(record, found, "after")
        return Sides(
            Side(base, found, found.name, "after"),
            Side(base, None, base.name, "before"),
            (),
        )
    other = _side(before, "before")
    if record is None:
        return Sides(Side(found, None, found.name, "after"), other, ())
    if other.adapter is not None:
        base = _recorded_base(record, found, "after")
        return Sides(Side(base, found, found.name, "after"), other, ())
    note = _check_base(record, found, before, other.base)
    side = Side(other.base, found, found.name, "after")
    return Sides(side, other, (note,) if note else ())


def _side(text: str, argument: str) -> Side:
    if text.startswith(DEMO):
        return _demo_sides(text, None, argument).after
    found = locate(text, argument)
    record = _adapter_record(found, argument)
    if record is None:
        return Side(found, None, found.name, argument)
    return Side(_recorded_base(record, found, argument), found, found.name, argument)


def _written_pair(found: Checkpoint) -> PairBlock | None:
    """What a pair directory says; None for a checkpoint."""
    path = Path(found.source) / "config.json"
    if not found.is_local or not path.is_file():
        return None
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # loading the checkpoint says what is wrong with it
        return None
    written = isinstance(config, dict) and KEY in config
    return PairBlock.of(config, found.source) if written else None


def _block_sides(block: PairBlock, after: str, before: str | None) -> Sides:
    if before is not None:
        raise LDAError(
            f"before: got '{before}', but after='{after}' is a pair directory, which "
            "names both checkpoints. Leave `before` out."
        )
    return Sides(
        _block_side(block.after, "after"), _block_side(block.before, "before"), ()
    )


def _block_side(half: HalfBlock, argument: str) -> Side:
    base = locate(_at(half.model, half.revision), argument)
    if half.adapter is None:
        return Side(base, None, base.name, argument)
    adapter = locate(_at(half.adapter, half.adapter_revision), argument)
    return Side(base, adapter, adapter.name, argument)


def _at(name: str, revision: str | None) -> str:
    return f"{name}@{revision}" if revision else name


def _demo_sides(text: str, before: str | None, argument: str = "after") -> Sides:
    """An embedded organism: two adapters (or the base and one) over the demo base."""
    from inspect_lda.organisms import organism
    from inspect_lda.organisms.base import base_checkpoint

    try:
        found = organism(text.removeprefix(DEMO))
        base = locate(str(base_checkpoint()), argument)
    except LDAError:
        raise
    except (ValueError, OSError, RuntimeError) as error:
        raise LDAError(f"{argument}: {error}") from error
    side = Side(base, _local_adapter(found.after), text, argument)
    if before is not None:
        return Sides(side, _side(before, "before"), ())
    name = f"{text}:before" if found.before else base.name
    other = Side(base, _local_adapter(found.before), name, "before")
    return Sides(side, other, ())


def _local_adapter(path: Path | None) -> Checkpoint | None:
    return None if path is None else locate(str(path), "after")


def _adapter_record(found: Checkpoint, argument: str) -> dict[str, Any] | None:
    """The adapter_config.json of an adapter; None for a full checkpoint."""
    path = None if found.gguf_file else found.file(ADAPTER_CONFIG)
    if path is None:
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LDAError(
            f"{argument}: the adapter file {path} cannot be read ({error}). Save the "
            "adapter again with PeftModel.save_pretrained."
        ) from error
    if not isinstance(record, dict) or "peft_type" not in record:
        raise LDAError(
            f"{argument}: {path} is not a PEFT adapter config: it has no 'peft_type'. "
            "Save the adapter again with PeftModel.save_pretrained."
        )
    return record


def _recorded_base(
    record: dict[str, Any], adapter: Checkpoint, argument: str
) -> Checkpoint:
    """The base that an adapter was trained on, as its config records it."""
    name = record.get("base_model_name_or_path")
    if not name:
        raise LDAError(
            f"{argument}: the adapter {adapter.name} does not record its base model. "
            "Name it: -M before=<base checkpoint>."
        )
    revision = record.get("revision")
    at = f"@{revision}" if revision and not Path(name).is_dir() else ""
    try:
        return locate(f"{name}{at}", argument)
    except LDAError as error:
        raise LDAError(
            f"{argument}: the adapter {adapter.name} records '{name}' as its base, "
            "which cannot be loaded. If the base lies elsewhere, name it: "
            f"-M before=<base checkpoint>. The reason: {error}"
        ) from error


def _check_base(
    record: dict[str, Any], adapter: Checkpoint, before: str, base: Checkpoint
) -> str | None:
    """Whether an explicit `before` may serve as the adapter's base; a note if unsure.

    Names decide only where they identify: two hub ids, or two directories at hand. A
    local copy may be called anything; there the shapes decide when weights are loaded.
    """
    recorded = str(record.get("base_model_name_or_path") or "")
    if not recorded or _stem(recorded) == _stem(base.source):
        return None
    at_hand = Path(recorded).expanduser().is_dir()
    if at_hand and str(Path(recorded).expanduser().resolve()) == base.source:
        return None
    if at_hand == base.is_local and (at_hand or not is_path_like(recorded)):
        raise LDAError(
            f"after: {adapter.name} is an adapter of another base: it records "
            f"'{recorded}', but before='{before}'. Leave `before` out to compare it "
            "with its own base; to compare with another checkpoint, merge the adapter "
            "(PeftModel.merge_and_unload, in float32) and give the merged directory; "
            "if this is the same base under another name, correct "
            "base_model_name_or_path in its adapter_config.json."
        )
    return (
        f"the adapter {adapter.name} records '{recorded}' as its base; "
        f"before='{before}' is used as that base. If it is not the same checkpoint, "
        "`after` is not the model that was trained."
    )


def _stem(name: str) -> str:
    """Last component of a name without the suffixes of repackaged copies."""
    last = name.split("@")[0].rstrip("/").replace("\\", "/").rsplit("/", 1)[-1]
    return _REPACKAGED.sub("", last).casefold()
