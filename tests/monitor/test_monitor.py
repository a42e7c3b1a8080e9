"""The monitor on a tiny training: real calibrations, real evals."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from inspect_ai.log import list_eval_logs, read_eval_log_sample_summaries

from inspect_lda.checkpoints import weights
from inspect_lda.cli import main
from inspect_lda.errors import LDAError
from inspect_lda.monitor.run import Monitor
from inspect_lda.report.files import log_files, read_header
from inspect_lda.report.loading import load_all
from tests.cut import kill_after

TASK = ("--task", "inspect_lda/behaviour", "-T", "pattern=e", "-T", "max_tokens=3")
SMALL = (*TASK, "-T", "limit_prompts=4", "--prompts", "20", "-M", "device=cpu")


def command(run: Path | str, before: Path, folder: Path, *more: str) -> list[str]:
    args = [str(run), "--before", str(before), "--log-dir", str(folder), *SMALL]
    return ["monitor", *args, *more]


def monitor(run: Path | str, before: Path, folder: Path, *more: str) -> Result:
    result = CliRunner().invoke(main, command(run, before, folder, *more))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each checkpoint's weights were read."""
    found: Counter[str] = Counter()
    load = weights.load_base

    def counted(checkpoint: Any, *args: Any) -> Any:
        found[Path(checkpoint.name).name] += 1
        return load(checkpoint, *args)

    monkeypatch.setattr(weights, "load_base", counted)
    return found


def test_a_series_is_evaluated_and_before_is_loaded_once(
    run: Path, before: Path, tmp_path: Path, loads: Counter[str]
) -> None:
    folder, png = tmp_path / "logs", tmp_path / "series.png"
    result = monitor(run, before, folder, "--png", str(png))
    assert loads == {"before": 1, "checkpoint-20": 1, "checkpoint-100": 1}
    assert "onset at alpha 0: " in result.output
    assert "onset alpha by budget: " in result.output
    assert "trend over training, alpha by budget" in result.output
    assert png.read_bytes().startswith(b"\x89PNG")
    written = json.loads((folder / "series.json").read_text(encoding="utf-8"))
    assert written["checkpoints"] == ["checkpoint-20", "checkpoint-100"]
    plain, amplified = written["tracks"]
    assert [point["alpha"] for point in plain["points"]] == [0, 0]
    early, late = (point["alpha"] for point in amplified["points"])
    assert early > late > 0
    assert all(point["n"] == 4 for point in amplified["points"])

    # Run again, nothing is loaded: all of it is there.
    loads.clear()
    logs = [log.name for log in list_eval_logs(str(folder))]
    again = monitor(run, before, folder)
    assert not loads
    assert [log.name for log in list_eval_logs(str(folder))] == logs
    assert "looking for alpha" not in again.output


def test_a_killed_run_is_resumed(run: Path, before: Path, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    args = [sys.executable, "-c", "from inspect_lda.cli import main; main()"]
    more = ("-T", "rollouts=8", "-M", "max_batch=8")
    process = subprocess.Popen(
        [*args, *command(run, before, folder, *more)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    kill_after(process, folder, 1)
    [cut] = log_files(str(folder))
    done = {one.uuid for one in read_eval_log_sample_summaries(cut)}
    assert read_header(cut).status == "started"
    result = monitor(run, before, folder, *more)
    logs = load_all([str(folder)])
    assert [len(log.samples or []) for log in logs] == [4 * 3 * 8] * 2
    assert done <= {one.uuid for one in logs[0].samples or []}
    assert "onset alpha by budget: " in result.output
    assert "checkpoint-20: looking for alpha" not in result.output


def test_a_checkpoint_that_is_the_one_before_is_left_out_and_named(
    before: Path, tmp_path: Path
) -> None:
    result = monitor(f"{before},", before, tmp_path / "logs")
    assert "left out: nothing to amplify" in result.output


def test_refusals(before: Path, tmp_path: Path) -> None:
    with pytest.raises(LDAError, match="finds alpha for each checkpoint"):
        Monitor(tmp_path, task_args={"alphas": "0,1"})
    (tmp_path / "empty").mkdir()
    args = command(tmp_path / "empty", before, tmp_path / "logs")
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 1
    assert "no folder in it holds a checkpoint" in result.output
