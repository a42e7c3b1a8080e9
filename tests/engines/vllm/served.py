"""The engine on a server of its own, for tests."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from inspect_lda.engines.server.servers import stop_all
from inspect_lda.engines.server.spec import ServerSpec
from tests.engines.vllm.oracle import Written

ARGS = ("--enforce-eager", "--max-model-len", "256", "--max-num-seqs", "16")


def spec_of(written: Written, **other: Any) -> ServerSpec:
    """The pair, served as quickly as it can be."""
    return ServerSpec(written.spec.after, written.spec.before, args=ARGS, **other)


@contextmanager
def cached_in(folder: Path) -> Iterator[None]:
    """Pair directories and logs in a folder; ends the servers behind it."""
    before = os.environ.get("INSPECT_LDA_CACHE")
    os.environ["INSPECT_LDA_CACHE"] = str(folder)
    try:
        yield
    finally:
        stop_all()
        os.environ.pop("INSPECT_LDA_CACHE")
        if before is not None:
            os.environ["INSPECT_LDA_CACHE"] = before


def servers_of_ours() -> list[psutil.Process]:
    """The `vllm serve` that this process started, by its command line."""
    return [one for one in psutil.Process().children(recursive=True) if _serves(one)]


def _serves(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:  # a killed one that nobody has waited for
        return False
    return "serve" in words and "lifeline.py" not in " ".join(words)


def kill_server() -> None:
    """As the system does when memory is short."""
    [server] = servers_of_ours()
    os.kill(server.pid, signal.SIGKILL)
