"""An eval whose endpoints fail a tenth of the time is the eval without failures."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.event import ModelEvent
from inspect_ai.log import EvalLog
from inspect_ai.solver import generate

from inspect_lda.engines.api import retry
from tests.served.faults import tenth
from tests.served.proxy import FaultProxy
from tests.served.servers import ServedPair
from tests.served.servers import text_files as text_files
from tests.served.servers import text_pair as text_pair

SAMPLES = 20


def run(served: ServedPair, after: str, before: str, folder: Path) -> EvalLog:
    """An eval over these addresses."""
    arguments: dict[str, Any] = {
        "engine": "api",
        "before": served.before.model,
        "before_base_url": before,
        "tokenizer": str(served.pair.after.folder),
        "alpha": 0.3,
        "support": 20,
        "before_top_k": 80,
        "max_lost_mass": 1,
        "draft": 0,
    }
    [log] = eval(
        Task(
            dataset=[Sample(input=f"question {i}") for i in range(SAMPLES)],
            solver=generate(),
        ),
        model=f"lda/{served.after.model}",
        model_base_url=after,
        model_args=arguments,
        max_tokens=5,
        seed=5,
        display="none",
        log_dir=str(folder),
    )
    assert log.status == "success", log.error
    return log


def test_no_sample_is_lost_or_begun_again(
    text_pair: ServedPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.005)
    smooth = run(text_pair, text_pair.after.url, text_pair.before.url, tmp_path)
    shares = tenth("drop before", "drop after", "truncate", "429", "503")
    with ExitStack() as stack:
        after, before = (
            stack.enter_context(FaultProxy(server.root, shares, seed=seed))
            for seed, server in enumerate((text_pair.after, text_pair.before))
        )
        rough = run(text_pair, after.url, before.url, tmp_path)
    assert after.lot.dealt + before.lot.dealt > 10
    # All samples start together, and the servers are asked once what they are.
    assert sum(one.line == "GET /v1/models" for one in after.asked) < 5
    assert rough.samples is not None
    assert smooth.samples is not None
    assert len(rough.samples) == SAMPLES
    for one, two in zip(rough.samples, smooth.samples, strict=True):
        assert one.output.completion == two.output.completion
        assert not one.error_retries
        calls = [event for event in one.events if isinstance(event, ModelEvent)]
        assert [call.retries for call in calls] == [None]
