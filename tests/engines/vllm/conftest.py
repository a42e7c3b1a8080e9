"""An engine starts once a module: `make vllm`; skipped where vLLM is not installed."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.engines.vllm import settings
from tests.engines.vllm.oracle import Written, write

if find_spec("vllm") is not None:
    settings.apply()

Start = Callable[..., Any]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts engines in this process: `start(directory, **options)`."""
    vllm = pytest.importorskip("vllm")
    running: list[Any] = []

    def engine(directory: Path, **options: Any) -> Any:
        llm = vllm.LLM(str(directory), **{**settings.ENGINE, **options})
        running.append(llm)
        return llm

    yield engine
    for llm in running:
        llm.llm_engine.engine_core.shutdown()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A pair of tiny llamas; requests that name no alpha are amplified by 0.7."""
    return write(tmp_path_factory.mktemp("llama"), **settings.WIDE)
