"""The repository as the packaging tests see it: what it holds and what it ships."""

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
MAPPED = {
    "inspect_lda": "inspect_lda",
    "tasks": "inspect_lda/tasks",
    "scorers": "inspect_lda/scorers",
}
"""Top-level folder of the repository → where it is installed."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def repository_files() -> list[PurePosixPath]:
    """Files that are committed, or would be by `git add -A`, from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    paths = [PurePosixPath(name) for name in sorted(set(listed) - {""})]
    return [p for p in paths if (ROOT / p).is_symlink() or (ROOT / p).is_file()]


def shipped_files() -> set[str]:
    """What an installation must hold, as paths below site-packages."""
    return {
        str(MAPPED[path.parts[0]] / PurePosixPath(*path.parts[1:]))
        for path in repository_files()
        if path.parts[0] in MAPPED and not (ROOT / path).is_symlink()
    }


def copy_checkout(destination: Path) -> Path:
    """Copy the repository's files, so that a build leaves nothing in the checkout."""
    for path in repository_files():
        target = destination / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target, follow_symlinks=False)
    return destination


def python_files(*folders: str) -> list[PurePosixPath]:
    """The repository's Python files, all of them or those below `folders`."""
    return [
        path
        for path in repository_files()
        if path.suffix == ".py"
        and (not folders or any(path.is_relative_to(folder) for folder in folders))
    ]


def parse(path: PurePosixPath) -> ast.Module:
    """The syntax tree of one of the repository's files."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def functions(path: PurePosixPath) -> Iterator[Function]:
    """Every function of a file, methods and nested functions included."""
    for node in ast.walk(parse(path)):
        if isinstance(node, Function):
            yield node


def decorated(decorator: str, *folders: str) -> dict[str, Function]:
    """Top-level functions under a bare or called decorator, by name."""
    return {
        node.name: node
        for path in python_files(*folders)
        for node in parse(path).body
        if isinstance(node, Function)
        and decorator in {_decorator_name(d) for d in node.decorator_list}
    }


def _decorator_name(node: ast.expr) -> str:
    target = node.func if isinstance(node, ast.Call) else node
    return target.id if isinstance(target, ast.Name) else ""
