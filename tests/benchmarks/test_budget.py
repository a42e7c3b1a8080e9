"""One budget over a series: when a change shows, and how it is told."""

from benchmarks.budget import FIXED, Shown, onsets
from benchmarks.budget_report import draw, table
from inspect_lda.arms import mirrored
from inspect_lda.calibration.records import Trial
from tests.tasks.test_calibrated import calibration


def series() -> list[Shown]:
    """Refusals fall at the budget's alpha first, then at 10, and never at 0."""
    made = []
    for percent, bought, at_ten in ((5, 60.0, 0.83), (10, 19.0, 0.7), (20, 7.0, 0.1)):
        found = calibration(f"demo/drift@{percent}", bought)
        trial = Trial(
            alpha=bought,
            coherent=30,
            rollouts=32,
            lower=0.8,
            kept=True,
            kl=0.5,
            surprise=1.0,
        )
        alphas = (-1.0, *FIXED, mirrored(bought))
        refused = dict.fromkeys(alphas, 0.84) | {10.0: at_ten, bought: 0.4}
        made.append(
            Shown(
                percent,
                found.model_copy(update={"trials": (trial,)}),
                refused,
                dict.fromkeys(refused, (0.003, 0.001)),
                {bought: 0.94, 5.0: 0.9, 20.0: 0.3},
            )
        )
    return made


def test_onset_is_the_first_checkpoint_that_shows_the_change() -> None:
    found = onsets(series())
    assert found["budget"] == 5
    assert found["10"] == 10
    assert found["0"] is None
    taught = series()
    taught[1].offered[0.0] = (0.02, 0.02)
    assert onsets(taught)["0"] == 10


def test_table_and_picture_tell_it() -> None:
    lines = table(series(), onsets(series())).splitlines()
    assert lines[2].startswith(
        "| 5 % | **60** | kl_budget | 0.50 | 94% (94%) | 0.160 |"
    )
    assert lines[5].endswith("| never | never | never | never | 10 % | never | 5 % |")
    assert "| 10 % | 0.003 | **0.003** | 0.003 | 0.160 |" in lines
    told = "Coherent at the fixed alpha 20: 30% at 5 %, 30% at 10 %, 30% at 20 %."
    assert lines[-1] == told
    assert draw(series(), onsets(series())).startswith(b"\x89PNG")
