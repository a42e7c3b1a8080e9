"""Real logs of embedded pairs, as they were recorded; see `tests.gate.record`."""

from pathlib import Path

import pytest

from tests.gate.record import PAIRS, unpacked


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of the recorded logs by pair."""
    folder = tmp_path_factory.mktemp("gate")
    return {name: unpacked(name, folder).location for name in PAIRS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test writes its logs and policies."""
    return tmp_path
