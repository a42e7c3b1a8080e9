"""Which `vllm` is run, and whether it can serve pairs: asked before it is started.

vLLM may live in an environment of its own, whose packages are older than ours. What is
installed there is read from its metadata, which takes a moment; importing vLLM would
take half a minute, and its own errors come after that.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from inspect_lda import __version__
from inspect_lda.engines.vllm.versions import check_version
from inspect_lda.errors import LDAError

NAME = "vllm"
_SECONDS = 60.0
_ASK = """
import json
from importlib.metadata import PackageNotFoundError, version

def of(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None

print(json.dumps({name: of(name) for name in ("vllm", "inspect_lda")}))
"""


@dataclass(frozen=True)
class Program:
    """A program `vllm` that can serve pairs.

    Attributes:
        path: The program.
        version: Of vLLM; None if its environment could not be asked.
    """

    path: str
    version: str | None

    @property
    def on_cpu(self) -> bool:
        """Whether it is a build for CPUs."""
        return self.version is not None and self.version.endswith("+cpu")

    @property
    def has_token_route(self) -> bool:
        """Whether it is known to have the route for tokens, and an option for it."""
        return self.version is not None and self.version.startswith("0.32.")


def find_program(named: str | None = None) -> str:
    """The path of `vllm`: the one named, else ours, else the first of PATH.

    Raises:
        LDAError: If there is none; says what to install.
    """
    if named is not None:
        found = shutil.which(os.path.expanduser(named))
        if found is None:
            raise LDAError(
                f"-M vllm_program={named!r} is no program. Give the path of vllm, e.g. "
                "-M vllm_program=/opt/vllm/bin/vllm"
            )
        return found
    beside = str(Path(sys.executable).parent)
    found = shutil.which(NAME, path=beside) or shutil.which(NAME)
    if found is None:
        raise LDAError(
            "vllm is not installed. Install it with: pip install 'inspect_lda[vllm]'; "
            "or name one in another environment, where inspect_lda is installed too: "
            "-M vllm_program=/opt/vllm/bin/vllm"
        )
    return found


def check_program(path: str) -> Program:
    """Ask the environment of a program what is installed there.

    Raises:
        LDAError: If its vLLM is too old or too new, or lacks our plugin.
    """
    python = _python_of(Path(path))
    if python is None:
        return Program(path, None)  # its own errors will have to do
    asked = subprocess.run(
        [str(python), "-c", _ASK],
        capture_output=True,
        check=False,
        text=True,
        timeout=_SECONDS,
    )
    if asked.returncode:
        return Program(path, None)
    installed: dict[str, str | None] = json.loads(asked.stdout)
    version, ours = installed["vllm"], installed["inspect_lda"]
    if version is None:
        raise LDAError(
            f"{path}: vllm is not installed in its environment ({python}). Install it "
            "with: pip install 'inspect_lda[vllm]'"
        )
    check_version(version)
    if ours != __version__:
        has = f"has inspect_lda {ours}" if ours else "lacks inspect_lda"
        raise LDAError(
            f"{path}: the environment of this vllm {has}; a pair is served by "
            f"inspect_lda {__version__}, as it runs here. Install it there: {python} "
            f"-m pip install 'inspect_lda[vllm]=={__version__}'"
        )
    return Program(path, version)


def _python_of(program: Path) -> Path | None:
    """The interpreter that runs a script, by its first line."""
    with program.open("rb") as script:
        first = script.readline(1024)
    if not first.startswith(b"#!"):
        return None
    python = Path(first[2:].decode(errors="replace").strip())
    return python if python.is_file() and "python" in python.name else None
