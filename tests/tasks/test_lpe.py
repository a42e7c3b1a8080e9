"""The path from a less safe variant to the model, on a scripted pair."""

import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from inspect_ai.log import EvalLog
from rich.console import Console

from inspect_lda.cli import main
from inspect_lda.errors import LDAError
from inspect_lda.report.experiment import experiment_of
from inspect_lda.report.lpe import ranking
from inspect_lda.statistics.drawn import cut
from inspect_lda.statistics.paths import magnitude
from inspect_lda.tasks.lpe import lpe
from tests.tiny_run import run_on_tiny_pair


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    task = lpe(
        pattern="re:[a-h]",
        alphas="-1,-0.5",
        rollouts=8,
        limit_prompts=3,
        max_tokens=2,
    )
    return run_on_tiny_pair(task, tmp_path_factory.mktemp("pair"))


def test_the_path_is_counted_and_extrapolated(log: EvalLog) -> None:
    experiment = experiment_of([log])
    assert {one.alpha for one in experiment.rollouts} == {-1.0, -0.5}
    assert log.results is not None
    [score] = [one for one in log.results.scores if one.name == "path_rank"]
    found = {key: metric.value for key, metric in score.metrics.items()}
    size = magnitude(cut(experiment.rollouts), "rates")
    assert size is not None
    assert found["log10_magnitude"] == pytest.approx(size.log10)
    assert found["log10_lower"] == pytest.approx(size.log10 - math.log10(size.factor))
    assert found["log10_upper"] <= 0


def test_the_ranking_is_printed_and_no_rate(log: EvalLog) -> None:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(ranking(experiment_of([log])))
    text = capture.get()
    prompts = {sample.metadata["prompt_id"] for sample in log.samples or ()}
    assert all(prompt in text for prompt in prompts)
    assert "by order of magnitude" in text
    assert "never a rate" in " ".join(text.split())
    assert "8" in text
    told = CliRunner().invoke(main, ["report", log.location])
    assert told.exit_code == 0, told.output
    assert "never a rate" in " ".join(told.output.split())


@pytest.mark.parametrize("alphas", ["-2,-1", "-1,0.5", "-1", "-1,0"])
def test_a_path_runs_from_the_variant_to_the_model(alphas: str, tmp_path: Path) -> None:
    with pytest.raises(LDAError, match=r"a path runs from -1 .+ e\.g\. -1,-0\.5"):
        lpe(pattern="x", alphas=alphas)
