"""Runs a program that ends with whoever asked for it: python lifeline.py PROGRAM ARG …

Standard input is a pipe that nobody writes to. It closes when the process at its other
end does, killed or not, and then the program ends too, with all it started. Standard
library alone: it is run by its path, and holds no memory worth mentioning.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

GRACE = 20.0
"""Seconds between the polite signal and the last one."""
_LOOK = 0.25
_PR_SET_PDEATHSIG = 1


def main(command: Sequence[str]) -> int:
    """Run a command until it or standard input ends; returns its exit code."""
    signal.signal(signal.SIGTERM, _leave)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - there are no threads here
    )
    try:
        while child.poll() is None:
            readable, _, _ = select.select([0], [], [], _LOOK)
            if readable and not os.read(0, 1):
                break
    finally:
        _end(child)
    return child.returncode


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End a child and the workers of its group, which may outlive it."""
    if child.poll() is None:
        _tell(child.pid, signal.SIGTERM)
        last = time.monotonic() + GRACE
        while child.poll() is None and time.monotonic() < last:
            time.sleep(_LOOK)
    _tell(child.pid, signal.SIGKILL)
    child.wait()


def _tell(group: int, number: signal.Signals) -> None:
    # All of it may have ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _leave(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _die_with_parent() -> None:
    """On Linux: be ended by the kernel should this very program be killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
