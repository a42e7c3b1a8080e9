"""Benchmarks settle threads and messages of the whole process; tests put them back."""

from collections.abc import Callable, Iterator

import click
import pytest
import torch
from click.testing import CliRunner
from transformers.utils import logging as transformers_logging

from benchmarks import contest
from benchmarks.pairs import tiny
from inspect_lda.pair import Pair


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Restore what `contest.start` settles."""
    threads = torch.get_num_threads()
    verbosity = transformers_logging.get_verbosity()
    yield
    torch.set_num_threads(threads)
    transformers_logging.set_verbosity(verbosity)
    transformers_logging.enable_progress_bar()


@pytest.fixture(scope="session")
def pair() -> Pair:
    """The pair on which benchmarks show that they run."""
    return tiny()


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command as a user types it; returns what it printed."""
    # Narrower, and cells wrap: the processes of pytest-xdist have COLUMNS=80.
    monkeypatch.setattr(contest.console, "width", 120)

    def run(command: click.Command, *arguments: str, fails: bool = False) -> str:
        done = CliRunner().invoke(command, arguments, catch_exceptions=fails)
        assert (done.exit_code != 0) == fails, done.output
        return done.output

    return run
