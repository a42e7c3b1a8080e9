"""What provider tests ask for and look at."""

from typing import Any

from inspect_ai.model import ModelOutput

from tests.tiny import BOS, EOS, PAD, UNK

TEXT_ONLY = dict.fromkeys((PAD, EOS, BOS, UNK), -100.0)
"""Text only: no end of turn, no special tokens."""


def lda(**options: Any) -> dict[str, Any]:
    return {"lda": options}


def facts(output: ModelOutput) -> dict[str, Any]:
    assert output.metadata is not None
    values: dict[str, Any] = output.metadata["lda"]
    return values
