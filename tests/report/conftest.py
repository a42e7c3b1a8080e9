"""Let the scripted provider pass for a pair; a log of a real engine."""

import pytest

import tests.scripted  # noqa: F401 - registers the provider
from inspect_lda.tasks import _behaviour
from tests.report.swept import log as log


@pytest.fixture(autouse=True)
def _scripted_is_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_behaviour, "PROVIDERS", {"lda", "scripted"})
