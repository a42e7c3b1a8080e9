"""A tiny training: one checkpoint before, and folders as a trainer leaves them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from inspect_lda.pair import clear_registry
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


def save_step(folder: Path, step: int) -> Path:
    """The checkpoint before, and a step in one direction."""
    model, other = tiny_model(seed=1), tiny_model(seed=2)
    with torch.no_grad():
        for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
            mine.add_(theirs - mine, alpha=0.0005 * step)
    return save_checkpoint(folder / f"checkpoint-{step}", model, tiny_tokenizer())


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "before", tiny_model(seed=1), tiny_tokenizer())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (100, 20):
        save_step(tmp_path / "run", step)
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    clear_registry()
    yield
    clear_registry()
