"""Checkpoints that the tests of calibration share."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from inspect_lda.pair import clear_registry
from tests.calibration.pairs import as_dtype, save_adapter, save_base, save_merged


@dataclass(frozen=True)
class Shelf:
    """A base, another checkpoint, an adapter, and weak ones of 5 %."""

    base: Path
    other: Path
    adapter: Path
    weak: Path
    base_half: Path
    merged_weak: Path


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    home = tmp_path_factory.mktemp("calibration")
    base = save_base(home / "base")
    half = as_dtype(base, home / "half", torch.bfloat16)
    weak = save_adapter(base, home / "weak", scale=0.05 * 0.02)
    return Shelf(
        base=base,
        other=save_base(home / "other", seed=2),
        adapter=save_adapter(base, home / "adapter"),
        weak=weak,
        base_half=half,
        merged_weak=save_merged(base, weak, home / "merged", torch.bfloat16),
    )


@pytest.fixture(autouse=True, scope="session")
def _fresh_registry() -> Iterator[None]:
    yield
    clear_registry()
