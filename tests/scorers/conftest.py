"""Let the scripted provider pass for a pair."""

import pytest

import tests.scripted  # noqa: F401 - registers the provider
from inspect_lda.tasks import _behaviour


@pytest.fixture(autouse=True)
def _scripted_is_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_behaviour, "PROVIDERS", {"lda", "scripted"})
