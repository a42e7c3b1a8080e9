"""`inspect-lda alpha`, as a user types it, on a tiny pair."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspect_lda.calibration.found import read
from inspect_lda.cli import main
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("alpha")
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(seed=seed, max_position_embeddings=1024)
        save_checkpoint(root / name, model, tiny_tokenizer())
    return root


def run(pair: Path, before: str, *arguments: str) -> Result:
    small = ("--prompts", "24", "--max-tokens", "8", "-M", "device=cpu")
    return CliRunner().invoke(
        main,
        [
            *("alpha", f"lda/{pair / 'after'}", "--before", str(pair / before)),
            *(*small, *arguments),
        ],
        env={"COLUMNS": "400"},
    )


def test_it_prints_the_alpha_the_plan_and_where_they_are(
    pair: Path, tmp_path: Path
) -> None:
    planned = ("--plan-prompts", "48", "--plan-epochs", "2", "--plan-max-tokens", "10")
    done = run(pair, "before", *planned, "--out", str(tmp_path / "new"))
    assert done.exit_code == 0, done.output
    [path] = (tmp_path / "new").glob("*.json")
    found = read(path)
    assert f"alpha {found.alpha:g}, limited by" in done.output
    assert "A run of 48 prompts x 2 rollouts x 6 alphas" in done.output
    assert found.plan is not None
    assert f"about {found.plan.estimate.rollouts:,} rollouts" in done.output
    assert f"-M calibration={path}" in done.output
    assert path.with_suffix(".png").read_bytes().startswith(PNG)


def test_nothing_to_amplify_is_exit_code_4(pair: Path, tmp_path: Path) -> None:
    done = run(pair, "after", "--plan-prompts", "9", "--out", str(tmp_path))
    assert done.exit_code == 4, done.output
    assert "INVALID: nothing to amplify" in done.output
    [path] = tmp_path.iterdir()
    assert read(path).alpha is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("-M", "alpha=2"), "alpha is what is looked for"),
        (("-M", "dtype"), "KEY=VALUE"),
        (("--kl-budget", "0"), "kl_budget=0.0"),
        (("--prompts", "5"), "5 are too few"),
        (("--set", "builtin:nothing"), "nothing"),
    ],
)
def test_bad_input_is_one_message(
    pair: Path, arguments: tuple[str, ...], reason: str
) -> None:
    done = run(pair, "before", *arguments)
    assert done.exit_code in (1, 2), done.output
    assert reason in done.output
    assert "Traceback" not in done.output
