"""The model's own rate from logs of a real engine, and from logs that carry none."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from inspect_ai.log import EvalLog, write_eval_log

from inspect_lda.cli import main
from inspect_lda.report.experiment import Experiment, experiment_of
from inspect_lda.report.html import page
from inspect_lda.report.own_rate import own_rate
from inspect_lda.report.rate_lines import rate_headline, rate_lines
from inspect_lda.report.release import release

SAID = (
    "Own rate of 're:[a-e]': ",
    "Plain sampling takes about",
    "Method: mixture",
    "Plain check: ",
    "In 1,000 replies: ",
    "Assumed: ",
)


@pytest.fixture(scope="module")
def experiment(log: EvalLog) -> Experiment:
    return experiment_of([log])


def test_rollouts_as_they_were_drawn(log: EvalLog, experiment: Experiment) -> None:
    assert len(experiment.rollouts) == 2 * 2 * 20
    assert experiment.unscored == 0
    assert experiment.setting.max_tokens == 3
    assert experiment.setting.temperature == 1.0
    assert experiment.setting.sampling == {}
    assert experiment.target == "e"
    assert len(experiment.known) == 2
    hits = [one for one in experiment.rollouts if one.hit]
    decided = [one.decided for one in hits if one.decided is not None]
    assert len(decided) == len(hits), "a text that is its tokens says where it is"
    assert min(decided) == 1
    assert max(decided) > 1
    for one in experiment.rollouts:
        assert set(one.also) >= {0.0, 0.3}
        if one.alpha == 0:
            assert np.array_equal(one.log_p, one.log_q)
        if not one.hit:
            assert one.decided is None


def test_the_estimate_agrees_with_plain_counting(experiment: Experiment) -> None:
    plain = own_rate(experiment, "plain").found
    assert plain.interval is not None
    for method in ("auto", "mixture"):
        found = own_rate(experiment, method).found
        assert found.rate is not None, found.refused
        assert plain.interval.lower < found.rate < plain.interval.upper
    assert own_rate(experiment).found.method == "mixture"


def test_the_metric_says_what_the_report_says(
    log: EvalLog, experiment: Experiment
) -> None:
    assert log.results is not None
    [score] = [score for score in log.results.scores if score.name == "phrase"]
    metrics = {key: metric.value for key, metric in score.metrics.items()}
    found = own_rate(experiment).found
    assert found.interval is not None
    assert found.diagnostics is not None
    assert metrics["true_rate"] == pytest.approx(found.rate)
    assert metrics["true_rate_lower"] == pytest.approx(found.interval.lower)
    assert metrics["true_rate_hit_ess"] == pytest.approx(found.diagnostics.hit_ess)
    assert metrics["true_rate_valid"] == 1


def test_the_exact_probability_is_beside_it(experiment: Experiment) -> None:
    own = own_rate(experiment)
    assert own.exact is not None
    assert own.exact.rate == pytest.approx(
        np.mean([math.exp(value) for value in experiment.known.values()])
    )
    begins = [line for line in rate_lines(own) if line.startswith("Computed exactly")]
    assert len(begins) == 1
    computed = own_rate(experiment, "exact")
    assert "begins with 'e'" in rate_headline(computed)
    assert "exactly" in rate_headline(computed)


def test_text_and_json_of_the_command(log: EvalLog) -> None:
    asked = ["rate", log.location, "--volume", "1000"]
    told = CliRunner().invoke(main, asked)
    assert told.exit_code == 0, told.output
    text = " ".join(told.output.split())
    for part in SAID:
        assert part in text
    document = json.loads(CliRunner().invoke(main, [*asked, "--json"]).output)
    assert document["schema"] == "inspect_lda.rate/1"
    assert document["valid"] is True
    assert document["rate"]["method"] == "mixture"
    assert document["rate"]["interval"]["lower"] < document["rate"]["rate"]
    assert document["forecasts"][0]["volume"] == 1000
    assert document["setting"]["pattern"] == "re:[a-e]"


def test_the_report_has_a_section(log: EvalLog, tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["report", log.location])
    assert told.exit_code == 0, told.output
    assert "Own rate of 're:[a-e]'" in told.output
    html = page(release([log]))
    assert "<h3>The model's own rate</h3>" in html
    assert "Own rate of &#x27;re:[a-e]&#x27;" in html


def test_a_run_that_shows_too_little_says_what_would_do(log: EvalLog) -> None:
    few = log.model_copy(update={"samples": _hits(log, 3)})
    own = own_rate(experiment_of([few]))
    assert own.found.rate is None
    assert "detected, not measurable with this run" in rate_headline(own)
    lines = rate_lines(own)
    assert any(line.startswith("Not measurable: ") for line in lines)
    assert any(line.startswith("Rests on 3 hits") for line in lines)


def _hits(log: EvalLog, most: int) -> list[Any]:
    """All misses, and a few of the amplified hits."""
    kept, count = [], 0
    for sample in log.samples or ():
        score = (sample.scores or {}).get("phrase")
        if sample.metadata["arm"] == "untriggered" and score and score.value == 1:
            if sample.metadata["alpha"] == 0 or count == most:
                continue
            count += 1
        kept.append(sample)
    return kept


def test_no_hit_is_no_proof(log: EvalLog, tmp_path: Path) -> None:
    none = log.model_copy(update={"samples": _hits(log, 0)})
    path = str(tmp_path / "none.eval")
    write_eval_log(none, path)
    told = CliRunner().invoke(main, ["rate", path])
    assert told.exit_code == 3
    assert "no proof of absence" in " ".join(told.output.split())
