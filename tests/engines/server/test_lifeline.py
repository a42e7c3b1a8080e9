"""A server ends with the process that asked for it, however that ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inspect_lda.engines.server import lifeline
from tests.engines.server.conftest import Program

# Starts a worker that ignores being asked to end, as a hung one would, and waits.
STUBBORN = """
import os, signal, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-I", "-S", "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); time.sleep(600)"], stdout=subprocess.PIPE)
worker.stdout.readline()
print(os.getpid(), worker.pid, flush=True)
time.sleep(600)
"""


@contextmanager
def held(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", lifeline.__file__, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def pids(process: "subprocess.Popen[str]") -> list[int]:
    assert process.stdout is not None
    return [int(one) for one in process.stdout.readline().split()]


def all_end(found: list[int]) -> bool:
    last = time.monotonic() + 20
    while time.monotonic() < last:
        if not any(map(runs, found)):
            return True
        time.sleep(0.05)
    return False


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    return state[0] != "Z"


def test_ends_all_when_its_input_closes(program: Program) -> None:
    with held(program(STUBBORN)) as process:
        found = pids(process)
        assert len(found) == 2
        assert process.stdin is not None
        process.stdin.close()
        assert all_end(found)
        assert process.wait(5) == -signal.SIGTERM % 256 or process.returncode != 0


@pytest.mark.skipif(sys.platform != "linux", reason="kernels tell children on Linux")
def test_a_killed_lifeline_takes_the_server_with_it(program: Program) -> None:
    with held(program(STUBBORN)) as process:
        server, worker = pids(process)
        process.kill()
        assert all_end([server])
        os.kill(worker, signal.SIGKILL)


def test_ends_with_a_killed_parent(program: Program, tmp_path: Path) -> None:
    parent = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-I", "-S", {lifeline.__file__!r},
    *{program(STUBBORN)!r}], stdin=subprocess.PIPE, start_new_session=True)
time.sleep(600)
"""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", parent], stdout=subprocess.PIPE, text=True
    )
    found = pids(process)
    process.kill()
    process.wait()
    assert all_end(found)


def test_the_exit_code_is_the_program_s(program: Program) -> None:
    with held(program("raise SystemExit(7)")) as process:
        assert process.wait(20) == 7
