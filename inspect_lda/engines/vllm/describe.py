"""What a served pair says of itself, to whoever asks before trusting its numbers.

A plain vLLM ignores extra arguments that it does not know, an alpha among them. So a
client first sends `DESCRIBE_KEY`: a served pair refuses it with HTTP 400, and the text
of the refusal is the description. Neither torch nor vLLM is imported here.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from inspect_lda import __version__
from inspect_lda.checkpoints.block import HalfBlock, IdsBlock, PairBlock

DESCRIBE_KEY = "lda_describe"
"""In `vllm_xargs`, with any value."""

_VARIABLE = "INSPECT_LDA_SERVED"
"""Where the description is kept: several API servers inherit it from the process that
built the configuration."""


class Served(BaseModel):
    """A pair as it is served.

    Attributes:
        version: Of inspect_lda at the server.
        after: The checkpoint after the training, as `public` names it.
        before: The checkpoint before it.
        ids: Digest of what the vocabularies have in common (`digest_of`).
        masked_ids: How many ids are masked or not amplified.
        eos_ids: Ids that end a completion.
        dtype: Of the bodies; heads are float32.
        context_length: Tokens the context window holds.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str
    after: HalfBlock
    before: HalfBlock
    ids: str
    masked_ids: int
    eos_ids: tuple[int, ...]
    dtype: str
    context_length: int

    @property
    def precision(self) -> str:
        """As evidence names it."""
        wide = self.dtype == "float32"
        return self.dtype if wide else f"{self.dtype}, head float32"


def public(half: HalfBlock) -> HalfBlock:
    """A checkpoint without paths: vLLM cuts those out of what it answers."""
    named = {name: shown(getattr(half, name)) for name in ("model", "adapter")}
    return half.model_copy(update=named)


def shown(name: str | None) -> str | None:
    """A directory by its last part and a digest of the whole; other names as they are.

    Equal names stay equal.
    """
    if name is None or not Path(name).is_absolute():
        return name
    return f"{Path(name).name}#{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def digest_of(ids: IdsBlock) -> str:
    """Names a vocabulary in a few letters."""
    return hashlib.sha256(ids.model_dump_json().encode()).hexdigest()[:16]


def masked_ids(ids: IdsBlock) -> int:
    """How many ids of the logit row are masked or not amplified."""
    return ids.size - sum(end - start for start, end in ids.shared)


def end_ids(generation: Mapping[str, Any]) -> tuple[int, ...]:
    """The ids that end a turn, by a generation config."""
    found = generation.get("eos_token_id")
    if found is None:
        return ()
    return (found,) if isinstance(found, int) else tuple(found)


def publish(block: PairBlock, model_config: Any) -> None:
    """Keep the description of a pair for requests that ask.

    Args:
        block: The pair's.
        model_config: vLLM's, of the pair directory.
    """
    served = Served(
        version=__version__,
        after=public(block.after),
        before=public(block.before),
        ids=digest_of(block.ids),
        masked_ids=masked_ids(block.ids),
        eos_ids=end_ids(model_config.try_get_generation_config()),
        dtype=str(model_config.dtype).removeprefix("torch."),
        context_length=model_config.max_model_len,
    )
    os.environ[_VARIABLE] = served.model_dump_json(exclude_none=True)


def answer_describe(extra_args: Mapping[str, Any] | None) -> None:
    """Answer a request for the description.

    Raises:
        ValueError: If it is one; the text is the answer, with HTTP 400.
    """
    if extra_args and DESCRIBE_KEY in extra_args:
        raise ValueError(f"{DESCRIBE_KEY}: {os.environ.get(_VARIABLE, '')}")


def read_described(text: str) -> Served | None:
    """The description in the body of an answer; None if there is none."""
    _, mark, rest = text.partition(f"{DESCRIBE_KEY}: ")
    if not mark or not rest.startswith("{"):
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(rest)
        return Served.model_validate(found)
    except (ValueError, ValidationError):
        return None
