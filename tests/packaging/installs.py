"""Throw-away environments with inspect_lda installed for real, without a network."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.packaging.tree import copy_checkout

InstallMode = Literal["plain", "editable"]

# Build with the setuptools of the running environment and resolve nothing.
OFFLINE = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")


@dataclass(frozen=True)
class Installed:
    """An environment that holds inspect_lda.

    Attributes:
        python: Its interpreter.
        outside: An empty folder outside the checkout, to run from.
    """

    python: Path
    outside: Path

    def ask(self, code: str, *arguments: str) -> Any:
        """Run `code` from outside the checkout and return the JSON that it prints."""
        printed = run(
            [str(self.python), "-c", code, *arguments], cwd=self.outside
        ).splitlines()
        return json.loads(printed[-1])


def install(workspace: Path, mode: InstallMode) -> Installed:
    """Run `pip install [-e] .` on a copy of the checkout, in a fresh environment."""
    checkout = copy_checkout(workspace / "checkout")
    outside = workspace / "outside"
    outside.mkdir()
    python = _environment(workspace / "environment", borrowed=workspace / "borrowed")
    flag = ["--editable"] if mode == "editable" else []
    command = [str(python), "-m", "pip", "install", *OFFLINE, *flag, "."]
    run(command, cwd=checkout)
    return Installed(python=python, outside=outside)


def build_wheel(workspace: Path) -> Path:
    """Build what a release uploads: the sdist, and from it the wheel."""
    checkout = copy_checkout(workspace / "checkout")
    out = workspace / "dist"
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)]
    run(command, cwd=checkout)
    (wheel,) = out.glob("*.whl")
    return wheel


def run(command: list[str], *, cwd: Path) -> str:
    """Run a command that must succeed; its output is in the failure otherwise."""
    # A PYTHONPATH that points into the checkout would prove nothing.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _environment(folder: Path, *, borrowed: Path) -> Path:
    """A fresh environment that borrows every package but ours from the running one."""
    venv.create(folder, with_pip=False, symlinks=True)
    borrowed.mkdir()
    for key in ("purelib", "platlib"):
        for entry in Path(sysconfig.get_path(key)).iterdir():
            link = borrowed / entry.name
            ours = "inspect_lda" in entry.name or entry.suffix in {".pth", ".egg-link"}
            if not ours and not link.exists():
                link.symlink_to(entry)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "borrowed.pth").write_text(f"{borrowed}\n", encoding="utf-8")
    return folder / "bin" / "python"
