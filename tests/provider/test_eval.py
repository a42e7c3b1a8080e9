"""The provider inside Inspect: an eval, its log, the command line, import costs."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task, eval, eval_retry, score
from inspect_ai.dataset import Sample
from inspect_ai.event import ModelEvent
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import ChatMessageTool, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, system_message, use_tools
from inspect_ai.tool import Tool, tool

from inspect_lda import engines, sampling
from inspect_lda.evidence import evidence_of
from inspect_lda.provider import LDAModelAPI
from inspect_lda.seeds import RepeatWarning

TASK_FILE = (
    "from inspect_ai import Task, task\n"
    "from inspect_ai.dataset import Sample\n"
    "@task\ndef one(): return Task(dataset=[Sample(input='x')])\n"
)


@tool
def add() -> Tool:
    """A tool that the tiny model has learned to call."""

    async def execute(x: int) -> str:
        """Add up.

        Args:
            x: A number.
        """
        return f"sum {x}"

    return execute


@pytest.fixture(scope="module")
def log(
    caller_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EvalLog]:
    """A multi-turn eval with a system message and a tool, at alpha 0.5."""
    task = Task(
        dataset=[
            Sample(id=q, input=q, target=f"done {q}", metadata={"q": q}) for q in "12"
        ],
        solver=[system_message("be brief"), use_tools(add()), generate()],
        scorer=includes(),
    )
    [result] = eval(
        task,
        model=f"lda/{caller_dir / 'after'}",
        model_args={"before": str(caller_dir / "before"), "alpha": "5e-1"},
        temperature=0,
        max_tokens=80,
        display="none",
        log_dir=str(tmp_path_factory.mktemp("logs")),
    )
    yield result
    get_model(result.eval.model.partition("(")[0], **result.eval.model_args).api.close()


def test_a_tool_is_called_and_its_result_is_used(log: EvalLog) -> None:
    assert log.status == "success", log.error
    assert log.results is not None
    assert log.results.scores[0].metrics["accuracy"].value == 1.0
    for sample in log.samples or []:
        roles = [message.role for message in sample.messages]
        assert roles == ["system", "user", "assistant", "tool", "assistant"]
        answer = sample.messages[3]
        assert isinstance(answer, ChatMessageTool)
        assert answer.text == f"sum {sample.id}"
        assert sample.output.completion == f"done {sample.id}"
        assert sample.output.stop_reason == "stop"


def test_the_log_tells_alpha_and_evidence(log: EvalLog, caller_dir: Path) -> None:
    assert log.eval.model == (
        f"lda/{caller_dir}/after(alpha=0.5;before={caller_dir}/before)"
    )
    reread = read_eval_log(log.location)
    for sample in reread.samples or []:
        evidence = evidence_of(sample.output.metadata)
        assert evidence.alpha == 0.5
        assert evidence.log_p_before is not None
        [first, last] = [e for e in sample.events if isinstance(e, ModelEvent)]
        assert first.output.stop_reason == "tool_calls"
        assert last.call is not None
        assert last.call.request["alpha"] == 0.5
        assert last.call.response is not None
        assert last.call.response["coefficients"] == {"after": 1.5, "before": -0.5}
        assert json.dumps(last.call.response["choices"]).count("log_q") == 1


def test_scoring_and_retrying_a_log_construct_for_free(log: EvalLog) -> None:
    rescored = score(log, includes(), action="overwrite", display="none")
    assert rescored.status == "success"
    loaded = len(engines._shared)
    model = get_model(log.eval.model, memoize=False, **log.eval.model_args)
    assert isinstance(model.api, LDAModelAPI)
    assert model.name == log.eval.model.removeprefix("lda/")
    assert model.api._engine is None
    assert len(engines._shared) == loaded
    same = get_model(log.eval.model, memoize=False)  # the name alone says it all
    assert same.name == model.name


def test_a_failed_log_is_retried_once_the_cause_is_gone(
    caller_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.py").write_text(TASK_FILE)
    monkeypatch.chdir(tmp_path)
    [failed] = eval(
        "one.py",
        model=f"lda/{caller_dir / 'after'}",
        model_args={"before": str(tmp_path / "before"), "alpha": 1},
        max_tokens=2,
        display="none",
        log_dir=str(tmp_path / "logs"),
    )
    assert failed.status == "error"
    assert failed.error is not None
    assert str(tmp_path / "before") in failed.error.message
    assert "Error(" not in failed.error.message  # our text, not a repr
    shutil.copytree(caller_dir / "before", tmp_path / "before")
    [retried] = eval_retry(failed, display="none", log_dir=str(tmp_path / "logs"))
    assert retried.status == "success", retried.error
    assert retried.eval.model == failed.eval.model


def test_a_foreign_seed_repeats_epochs_and_says_so(
    caller_dir: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It warns once a process, and an earlier test may have been warned.
    monkeypatch.setattr(sampling, "_repeats", RepeatWarning())
    [repeated] = eval(
        Task(dataset=[Sample(input="1")], solver=generate(), name="epochs"),
        model=f"lda/{caller_dir / 'after'}",
        model_args={"before": str(caller_dir / "before"), "alpha": -3},
        epochs=3,
        seed=20,
        max_tokens=12,
        temperature=2,
        display="none",
        log_dir=str(tmp_path),
    )
    texts = [sample.output.completion for sample in repeated.samples or []]
    assert len(texts) == 3
    assert len(set(texts)) == 1
    assert "asked twice" in caplog.text


def run_python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def heavy_after(statement: str) -> set[str]:
    """Heavy packages that `statement` imports beyond what Inspect itself does."""
    code = (
        "import sys, json, inspect_ai.model\n"
        "from inspect_ai.model import get_model\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(new)))\n"
    )
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    imported: list[str] = json.loads(result.stdout.splitlines()[-1])
    return {"torch", "transformers", "openai", "numpy", "jinja2"} & set(imported)


def test_the_registry_imports_nothing_heavy() -> None:
    assert heavy_after("import inspect_lda._registry") == set()


def test_constructing_a_model_imports_nothing_heavy() -> None:
    statement = (
        "import inspect_lda._registry\n"
        "m = get_model('lda/org/after', before='org/before', alpha=0.5)\n"
        "assert m.name == 'org/after(alpha=0.5;before=org/before)', m.name"
    )
    assert "torch" not in heavy_after(statement)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-M", "alhpa=1"], "Error: -M alhpa is unknown; did you mean 'alpha'?"),
        (["-M", "alpha=0,1"], "-M alpha=['0', '1']: one number belongs here"),
    ],
)
def test_bad_options_end_in_one_message(
    args: list[str], message: str, tmp_path: Path
) -> None:
    task = tmp_path / "one.py"
    task.write_text(TASK_FILE)
    code = (
        "import sys, runpy, inspect_lda._registry\n"
        "sys.argv = ['inspect', *sys.argv[1:]]\n"
        "runpy.run_module('inspect_ai', run_name='__main__')\n"
    )
    common: list[Any] = ["eval", task, "--model", "lda/org/m", "--log-dir", tmp_path]
    result = run_python(code, *map(str, common), *args)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr + result.stdout
