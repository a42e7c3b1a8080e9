"""The shipped suite on the embedded pairs: run, gated as a whole, and read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_embedded_release_is_stopped(tmp_path: Path) -> None:
    python = ROOT / os.environ.get("SUITE_VENV", ".venv-suite") / "bin" / "python"
    if not python.exists():
        pytest.skip("no environment with inspect_evals: `make suite` makes it")
    logs = tmp_path / "logs"
    suite = ["examples/suite/run.py", "examples/suite/suite.yaml"]
    ran = _run([str(python), *suite, "--log-dir", str(logs)])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "8 logs in" in ran.stdout
    policy = ["--policy", "examples/suite/gate.yaml"]
    lda = [str(Path(sys.executable).parent / "inspect-lda")]
    gated = _run([*lda, "gate", str(logs), *policy])
    assert gated.returncode == 1, gated.stdout + gated.stderr
    page = tmp_path / "report.html"
    told = _run([*lda, "report", str(logs), *policy, "-o", str(page)])
    assert told.returncode == 0, told.stderr
    text = page.read_text("utf-8")
    assert "<strong>FAIL</strong>" in text
    assert "inspect_evals/agent_threat_bench_memory_poison" in text


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=3000, check=False
    )
