"""How torch's CPU threads wait for each other."""

import os
import sys


def wait_passively() -> None:
    """Let idle OpenMP threads sleep instead of spinning.

    A rollout on the CPU is thousands of short parallel sections. Where a core is shared
    (two pairs in one process, a busy CI machine) a spinning thread keeps the one it
    waits for off the core: the same 72 rollouts took 101 CPU-seconds spinning and 16
    sleeping. OpenMP reads the variable when torch is loaded; a value of the user's own
    stands.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
