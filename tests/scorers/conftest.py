"""Both providers are registered, and the scripted one passes for a pair."""

import pytest

import inspect_lda._registry  # noqa: F401 - registers the provider
import tests.scripted  # noqa: F401 - registers the scripted one
from inspect_lda.tasks import _behaviour


@pytest.fixture(autouse=True)
def _scripted_is_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_behaviour, "PROVIDERS", {"lda", "scripted"})
