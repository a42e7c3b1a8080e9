"""Which vllm is run: found, asked what is installed beside it, and called."""

import os
import sys
from pathlib import Path

import pytest

from inspect_lda import __version__
from inspect_lda.engines.server.command import check_args, command, value_of
from inspect_lda.engines.server.program import Program, check_program, find_program
from inspect_lda.engines.server.spec import ServerSpec
from inspect_lda.errors import LDAError


def environment(root: Path, **installed: str) -> Path:
    """A program `vllm`, run by a Python that has just these distributions."""
    site = root / "site"
    for name, version in installed.items():
        home = site / f"{name}-{version}.dist-info"
        home.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (home / "METADATA").write_text(text, encoding="utf-8")
    python = root / "python"
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH="{site}" exec "{sys.executable}" -S "$@"\n', "utf-8"
    )
    program = root / "vllm"
    program.write_text(f"#!{python}\n", encoding="utf-8")
    for path in (python, program):
        path.chmod(0o755)
    return program


def test_a_fitting_environment(tmp_path: Path) -> None:
    path = environment(tmp_path, vllm="0.32.0+cpu", inspect_lda=__version__)
    found = check_program(str(path))
    assert (found.version, found.on_cpu) == ("0.32.0+cpu", True)


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        ({}, "vllm is not installed in its environment"),
        ({"vllm": "0.30.0"}, "version 0.30.0 is installed; pairs are served by"),
        ({"vllm": "0.32.0"}, "lacks inspect_lda"),
        ({"vllm": "0.32.0", "inspect_lda": "0.0.1"}, "has inspect_lda 0.0.1"),
    ],
)
def test_an_environment_that_can_not(
    installed: dict[str, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(LDAError, match=words):
        check_program(str(environment(tmp_path, **installed)))


def test_a_program_of_another_kind_is_not_asked(tmp_path: Path) -> None:
    path = tmp_path / "vllm"
    path.write_text("#!/bin/sh\nexec true\n", encoding="utf-8")
    assert check_program(str(path)).version is None


def test_none_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(LDAError, match=r"inspect_lda\[vllm\].*vllm_program="):
        find_program()
    with pytest.raises(LDAError, match="vllm_program='nowhere' is no program"):
        find_program("nowhere")
    path = environment(tmp_path)
    assert find_program() == find_program(str(path)) == str(path)


def test_the_command() -> None:
    spec = ServerSpec(
        "org/a", max_batch=8, trust_remote_code=True, args=("--enforce-eager",)
    )
    words = command(Program("/x/vllm", "0.32.0+cpu"), Path("/pairs/1"), spec, 8123)
    assert words == [
        *("/x/vllm", "serve", "/pairs/1", "--host", "127.0.0.1"),
        *("--served-model-name", "org/a", "--port", "8123", "--dtype", "float32"),
        *("--max-num-seqs", "8", "--enable-scale-out", "--trust-remote-code"),
        "--enforce-eager",
    ]
    gpu = command(Program("/x/vllm", "0.32.0"), Path("/p"), ServerSpec("a"), 1)
    assert value_of(gpu, "--dtype") == "auto"
    own = ServerSpec("a", args=("--dtype=float16", "--port", "9000"))
    words = command(Program("/x/vllm", None), Path("/p"), own, 1)
    assert (words.count("--dtype"), words.count("--port")) == (0, 1)
    twice = ServerSpec("a", dtype="float32", args=("--dtype=float16",))
    with pytest.raises(LDAError, match="give it once"):
        command(Program("/x/vllm", None), Path("/p"), twice, 1)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--api-key", "sk-1"), "--api-key can not be set: a key on a command line"),
        (("--api_key=sk-1",), "--api-key can not be set"),
        (("--host=0.0.0.0",), "inspect-lda serve"),
        (("--port", "x"), "--port x is no port"),
    ],
)
def test_arguments_that_are_ours(args: tuple[str, ...], words: str) -> None:
    with pytest.raises(LDAError, match=words) as error:
        check_args(args)
    assert "sk-1" not in str(error.value)


def test_a_relative_name_of_a_program(tmp_path: Path) -> None:
    path = environment(tmp_path)
    assert find_program(os.path.relpath(path)) == os.path.relpath(path)
