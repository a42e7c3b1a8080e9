"""What is known of a pair without a server: its directory, its names, its tokenizer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inspect_lda.checkpoints.block import PairBlock
from inspect_lda.checkpoints.cached import cached_pair
from inspect_lda.checkpoints.sides import find_sides
from inspect_lda.engines.server.spec import ServerSpec
from inspect_lda.errors import LDAError
from inspect_lda.pair import PairSpec, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class LocalPair:
    """A pair whose checkpoints are on this machine, or on the hub.

    Attributes:
        directory: Its pair directory.
        block: What that says.
        after_name: Canonical name, with the commit.
        before_name: The same of `before`.
        notes: What was noticed.
    """

    directory: Path
    block: PairBlock
    after_name: str
    before_name: str
    notes: tuple[str, ...]


def read_local(spec: ServerSpec) -> LocalPair:
    """Write the pair directory, or find it; no weights are read.

    Raises:
        LDAError: If a checkpoint is missing, or the two are no pair.
    """
    directory, notes = cached_pair(
        spec.after,
        spec.before,
        trust_remote_code=spec.trust_remote_code,
        allow_mixed_quantization=spec.allow_mixed_quantization,
    )
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    sides = find_sides(spec.after, spec.before)
    return LocalPair(
        directory=directory,
        block=PairBlock.of(config, str(directory)),
        after_name=sides.after.name,
        before_name=sides.before.name,
        notes=notes,
    )


def read_tokenizer(spec: ServerSpec) -> "PreTrainedTokenizerBase":
    """The tokenizer of `after`, from this machine or the hub.

    Raises:
        LDAError: If there is none under its name; says how to give one.
    """
    trusted = spec.trust_remote_code
    if spec.tokenizer is None:
        found = PairSpec(spec.after, spec.before, trust_remote_code=trusted)
        return load_tokenizer(found)
    source = spec.tokenizer
    try:
        return load_tokenizer(PairSpec(source, source, trust_remote_code=trusted))
    except LDAError as error:
        raise LDAError(f"-M tokenizer={source!r}: {error.message}") from error
