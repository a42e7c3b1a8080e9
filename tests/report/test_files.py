"""Which logs count: the last attempt of each, if it holds what the others held."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from inspect_ai.log import EvalLog, read_eval_log, write_eval_log

from inspect_lda.errors import LDAError
from inspect_lda.gate.inputs import open_logs
from inspect_lda.report.files import log_files, superseded, without_superseded
from inspect_lda.report.loading import load_all
from inspect_lda.report.release import read_logs
from tests.cut import kill_after

SLOW_SET = """
import asyncio, sys
from inspect_ai import Task, eval_set, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import solver

@solver
def slow():
    async def solve(state, generate):
        await asyncio.sleep(0.0 if state.sample_id <= 4 else {delay})
        state.output.completion = "yes"
        return state
    return solve

@task
def answers():
    samples = [Sample(id=i, input="?", target="yes") for i in range(1, 9)]
    return Task(dataset=samples, solver=slow(), scorer=includes())

if __name__ == "__main__":
    eval_set(answers(), log_dir=sys.argv[1], model="none/none", display="none",
             log_buffer=1, log_dir_allow_dirty=True)
"""


def run(folder: Path, delay: float) -> subprocess.Popen[bytes]:
    script = folder / "slow_set.py"
    script.write_text(SLOW_SET.replace("{delay}", str(delay)), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(script), str(folder / "logs")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"INSPECT_LOG_DIR": str(folder / "logs")},
    )


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of an eval set that was killed after 4 of 8 samples and run again."""
    folder = tmp_path_factory.mktemp("killed")
    kill_after(run(folder, delay=600), folder / "logs", 4)
    again = run(folder, delay=0)
    assert again.wait(timeout=120) == 0
    return folder / "logs"


def headers(folder: Path) -> dict[str, EvalLog]:
    files = log_files(str(folder))
    return {one: read_eval_log(one, header_only=True) for one in files}


def test_a_resumed_attempt_does_not_count(killed: Path) -> None:
    found = headers(killed)
    by_status = {log.status: name for name, log in found.items()}
    assert sorted(by_status) == ["started", "success"]
    assert superseded(found) == {by_status["started"]: by_status["success"]}
    assert without_superseded(list(found)) == [by_status["success"]]
    logs, problems = read_logs([str(killed)])
    assert [len(log.samples or []) for log in logs] == [8]
    assert not problems
    inputs = open_logs([str(killed)])
    assert list(inputs.headers) == [by_status["success"]]
    [note] = inputs.checks
    assert note.status == "note"
    assert "resumed and continued by" in note.found


def test_alone_it_counts_and_is_refused(killed: Path) -> None:
    [cut] = [name for name, log in headers(killed).items() if log.status == "started"]
    assert without_superseded([cut]) == [cut]
    with pytest.raises(LDAError, match="status 'started'"):
        read_logs([cut])


def test_one_whose_samples_are_not_in_the_later_one_counts(
    killed: Path, tmp_path: Path
) -> None:
    for name, header in headers(killed).items():
        log = read_eval_log(name)
        if header.status == "success":
            log.samples = (log.samples or [])[2:]
        write_eval_log(log, str(tmp_path / Path(name).name))
    assert superseded(headers(tmp_path)) == {}
    with pytest.raises(LDAError, match="status 'started'"):
        load_all([str(tmp_path)])


def test_a_finished_log_counts_whatever_came_later(
    killed: Path, tmp_path: Path
) -> None:
    [last] = [log for log in headers(killed).values() if log.status == "success"]
    log = read_eval_log(last.location)
    write_eval_log(log, str(tmp_path / "first.eval"))
    log.eval.created = "2100-01-01T00:00:00+00:00"
    write_eval_log(log, str(tmp_path / "second.eval"))
    assert superseded(headers(tmp_path)) == {}
