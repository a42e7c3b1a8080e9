"""Killing a run in the middle: what has reached its log by then."""

import subprocess
import time
import zipfile
from pathlib import Path


def written(folder: Path) -> int:
    """Samples in the logs of a folder, which may still be written."""
    try:
        return sum(
            name.startswith("samples/")
            for file in folder.glob("*.eval")
            for name in zipfile.ZipFile(file).namelist()
        )
    except zipfile.BadZipFile:
        return 0  # at this moment


def kill_after(
    process: "subprocess.Popen[bytes]", folder: Path, samples: int, within: float = 120
) -> None:
    """Kill a run, which gets no chance to tidy up, once so many samples are there."""
    deadline = time.monotonic() + within
    while written(folder) < samples:
        assert time.monotonic() < deadline, "no sample was written"
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.kill()
    process.wait()
