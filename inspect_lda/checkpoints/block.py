"""The `lda` block: what the config.json of a pair directory says about the pair.

Whoever serves the directory (vLLM's workers on other machines, say) needs nothing else
to build the amplified model: no tokenizer is read and nothing is compared again.
Importing this module loads neither torch nor transformers.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inspect_lda.errors import LDAError
from inspect_lda.values import Alpha, Text, read

ARCHITECTURE = "LDAForCausalLM"
"""What a pair directory's config.json names as its architecture."""

KEY = "lda"
"""Under which the block stands in config.json."""

Ranges = tuple[tuple[int, int], ...]
"""Ids as half-open ranges `[start, end)`, in order: masks of 150,000 ids in a line."""


class HalfBlock(BaseModel):
    """One checkpoint of the pair.

    Attributes:
        model: Absolute directory, or hub id.
        revision: Commit of a hub id.
        adapter: LoRA adapter on it: absolute directory, or hub id.
        adapter_revision: Commit of an adapter's hub id.
        architecture: Class name in its config.json, e.g. LlamaForCausalLM.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Text = Field(description="a directory or hub id")
    revision: Text | None = Field(default=None, description="a commit")
    adapter: Text | None = Field(default=None, description="a directory or hub id")
    adapter_revision: Text | None = Field(default=None, description="a commit")
    architecture: Text = Field(description="a class name")


class IdsBlock(BaseModel):
    """Which ids may be sampled and which are amplified; see `Vocabulary`.

    Attributes:
        size: Width of the combined logits, which is that of `after`.
        allowed: Ids that `after`'s tokenizer knows.
        shared: Ids that both tokenizers know as the same token.
        before_end: What `before` is fed in place of ids beyond its table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(gt=0, description="a number of ids")
    allowed: Ranges = Field(description="a list of [start, end)")
    shared: Ranges = Field(description="a list of [start, end)")
    before_end: int = Field(default=0, ge=0, description="an id")


class PairBlock(BaseModel):
    """The whole block.

    Attributes:
        version: Of this schema.
        after: The checkpoint after the training.
        before: The checkpoint before it.
        alpha: Amplification of requests that name none.
        ids: Of the vocabulary.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = Field(default=1, description="1")
    after: HalfBlock = Field(description="a mapping with 'model' and 'architecture'")
    before: HalfBlock = Field(description="a mapping with 'model' and 'architecture'")
    alpha: Alpha = Field(default=1.0, description="a number from -1000 to 1000")
    ids: IdsBlock = Field(description="a mapping with 'size', 'allowed', 'shared'")

    @model_validator(mode="after")
    def _ids_fit(self) -> Self:
        for start, end in (*self.ids.allowed, *self.ids.shared):
            if not 0 <= start < end <= self.ids.size:
                raise ValueError(
                    f"ids [{start}, {end}) lie outside 0 to {self.ids.size}"
                )
        return self

    @property
    def shares_base(self) -> bool:
        """Whether both halves are made of one checkpoint's weights."""
        after, before = self.after, self.before
        return (after.model, after.revision) == (before.model, before.revision)

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> Self:
        """Read the block of a config.json.

        Args:
            config: The whole config.
            where: The directory, for error messages.

        Raises:
            LDAError: If there is no block, or it is not valid.
        """
        found = config.get(KEY)
        if not isinstance(found, Mapping):
            raise LDAError(
                f"{where} is no pair directory: its config.json has no '{KEY}' block. "
                "Write one with: inspect-lda pair AFTER --before BEFORE --out DIR"
            )
        return read(cls, found, f"{where}/config.json: {KEY}.{{key}}")


def ranges(ids: Iterable[int]) -> Ranges:
    """Ascending ids as half-open ranges."""
    found: list[tuple[int, int]] = []
    for one in ids:
        if found and found[-1][1] == one:
            found[-1] = (found[-1][0], one + 1)
        else:
            found.append((one, one + 1))
    return tuple(found)
