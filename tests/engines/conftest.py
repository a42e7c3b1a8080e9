"""A tiny checkpoint pair on disk, loaded as a user's pair is."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


@pytest.fixture(scope="session")
def spec(tmp_path_factory: pytest.TempPathFactory) -> PairSpec:
    """Two tiny llamas that share a tokenizer."""
    root: Path = tmp_path_factory.mktemp("pair")
    for name, seed in (("after", 1), ("before", 2)):
        save_checkpoint(root / name, tiny_model(seed=seed), tiny_tokenizer())
    return PairSpec(
        after=str(root / "after"),
        before=str(root / "before"),
        dtype="float32",
        device="cpu",
    )


@pytest.fixture(scope="session")
def pair(spec: PairSpec) -> Pair:
    """The loaded pair."""
    return load_pair(spec)


@pytest_asyncio.fixture
async def engine(spec: PairSpec) -> AsyncIterator[TransformersEngine]:
    """A small engine on that pair."""
    engine = TransformersEngine(spec, max_batch=4)
    yield engine
    engine.close()
