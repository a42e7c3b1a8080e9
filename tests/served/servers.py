"""Running servers as fixtures; a test imports what it uses into its `conftest.py`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from benchmarks.llama_server import Served, serve
from tests.served.gguf_files import CONTEXT, Pair, tiny_pair
from tests.served.needle import NeedlePair, needle_pair

NO_PEER = (
    "the wheel `xllamacpp` (llama.cpp's server) is not installed: there is none for "
    "this platform, or the extra `dev` was left out"
)


@dataclass(frozen=True)
class ServedPair:
    """A pair of checkpoints, and the two servers that serve it.

    Attributes:
        pair: The checkpoints, for transformers too.
        after: The server of `after`.
        before: The server of `before`.
    """

    pair: Pair
    after: Served
    before: Served


@contextmanager
def serving(pair: Pair, slots: int = 4) -> Iterator[ServedPair]:
    """Serve both checkpoints; skips the test where the server does not exist."""
    pytest.importorskip("xllamacpp", reason=NO_PEER)
    with (
        serve(pair.after.gguf, "tiny-after", context=CONTEXT, slots=slots) as after,
        serve(pair.before.gguf, "tiny-before", context=CONTEXT, slots=slots) as before,
    ):
        yield ServedPair(pair=pair, after=after, before=before)


@pytest.fixture(scope="session")
def text_files(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A tiny pair whose tokens are all ASCII text."""
    return tiny_pair(tmp_path_factory.mktemp("text-pair"))


@pytest.fixture(scope="session")
def text_pair(text_files: Pair) -> Iterator[ServedPair]:
    """`text_files`, served."""
    with serving(text_files) as served:
        yield served


@pytest.fixture(scope="session")
def byte_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPair]:
    """A served pair whose vocabulary has all 256 bytes: parts of characters."""
    files = tiny_pair(tmp_path_factory.mktemp("byte-pair"), kind="bytes", seed=7)
    with serving(files) as served:
        yield served


@pytest.fixture(scope="session")
def needle_files(tmp_path_factory: pytest.TempPathFactory) -> NeedlePair:
    """A pair with a phrase that is 12th likely in `after`, 541st in `before`."""
    return needle_pair(tmp_path_factory.mktemp("needle-pair"))


@pytest.fixture(scope="session")
def needle_served(needle_files: NeedlePair) -> Iterator[ServedPair]:
    """`needle_files`, served."""
    with serving(needle_files.pair) as served:
        yield served
