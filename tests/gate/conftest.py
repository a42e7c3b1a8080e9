"""Real logs of embedded pairs, as they were recorded; see `tests.gate.record`."""

from pathlib import Path

import pytest

from tests.gate.policies import altered, cut
from tests.gate.record import PAIRS, unpacked


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of the recorded logs by pair; "few" is "benign" on 12 prompts."""
    folder = tmp_path_factory.mktemp("gate")
    found = {name: unpacked(name, folder).location for name in PAIRS}
    few = altered(found["benign"], folder, lambda log: cut(log, 12), name="few.eval")
    return {**found, "few": few}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test writes its logs and policies."""
    return tmp_path
