"""Real processes and real servers, none of them vLLM."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.served.servers import needle_files as needle_files
from tests.served.servers import needle_served as needle_served

Program = Callable[[str], list[str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, for logs and pair directories."""
    monkeypatch.setenv("INSPECT_LDA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Writes Python code to a file; returns the command that runs it."""

    def written(code: str) -> list[str]:
        path = tmp_path / "program.py"
        path.write_text(code, encoding="utf-8")
        return [sys.executable, "-I", "-S", str(path)]

    return written
