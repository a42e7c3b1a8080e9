"""Where the tests of this folder run, and pairs for them.

`make gpu` runs them on a machine with a GPU; without one they are skipped. They were
written without one: until a release names the machine they passed on, nobody has seen
them pass.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from inspect_lda.pair import PairSpec, clear_registry
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

Make = Callable[..., PairSpec]


@pytest.fixture
def gpu() -> str:
    """The first GPU."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return "cuda:0"


@pytest.fixture
def second_gpu() -> str:
    """The second GPU."""
    if torch.cuda.device_count() < 2:
        pytest.skip(f"needs 2 CUDA devices, found {torch.cuda.device_count()}")
    return "cuda:1"


@pytest.fixture(autouse=True)
def _memory_is_given_back() -> Iterator[None]:
    yield
    clear_registry()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Saves two tiny checkpoints and names them in a spec."""

    def spec(arch: str = "llama", settings: Any = None, **options: Any) -> PairSpec:
        for name, seed in (("after", 1), ("before", 2)):
            model = tiny_model(arch, seed=seed, **(settings or {}))
            save_checkpoint(tmp_path / name, model, tiny_tokenizer())
        paths = (str(tmp_path / "after"), str(tmp_path / "before"))
        return PairSpec(*paths, **options)

    return spec
