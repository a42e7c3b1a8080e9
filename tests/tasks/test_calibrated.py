"""A sweep from a calibration: the one of the model, and no other's."""

from pathlib import Path

import pytest
from inspect_ai import Task, task
from inspect_ai import eval as inspect_eval

from inspect_lda.calibration.found import Calibration, write
from inspect_lda.calibration.records import (
    Ledger,
    PairRecord,
    PromptRecord,
    Reference,
    Settings,
)
from inspect_lda.errors import LDAError
from inspect_lda.statistics.coherence import ABSOLUTE
from inspect_lda.tasks._alphas import parse_alphas
from inspect_lda.tasks._calibrated import calibrated_alphas

ENOUGH = "the task has seen its alphas"
NOTHING = Ledger(rollouts=0, sampled=0, prefilled=0, forwards=0, scored=0, seconds=0)


def calibration(after: str, alpha: float | None) -> Calibration:
    return Calibration(
        pair=PairRecord(
            after=after,
            before=f"{after}:before",
            dtype="float32",
            head_dtype="auto",
            adapter_scale=1,
            engine="transformers",
        ),
        prompts=PromptRecord(spec="builtin:everyday", sha256="", prompts=64, tokens=9),
        settings=Settings(),
        alpha=alpha,
        limited_by=None if alpha is None else "kl_budget",
        grid=() if alpha is None else (-1.0, 0.0, alpha / 2, alpha),
        invalid="nothing to amplify" if alpha is None else None,
        reference=Reference(
            rollouts=64,
            tokens=640,
            coherent=60,
            limits=ABSOLUTE,
            pair_kl=0.1,
            pair_kl_se=0.01,
            surprise=1.0,
        ),
        ledger=NOTHING,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(calibration("demo/drift@10", 20.0), tmp_path / "ten.json")
    write(calibration("demo/drift@20", 6.0), tmp_path / "twenty.json")
    return tmp_path


def alphas_of(path: Path, model: str) -> list[float]:
    """What a task sees of `path` where `model` is tested; nothing is sampled."""
    seen: list[float] = []

    def probe() -> Task:
        seen.extend(parse_alphas(str(path)))
        raise LDAError(ENOUGH)

    try:
        inspect_eval(task(probe), model=model, display="none")
    except LDAError as error:
        if str(error) != ENOUGH:
            raise
    return seen


def test_a_file_is_its_sweep_without_the_arm_before(folder: Path) -> None:
    assert parse_alphas(str(folder / "ten.json")) == (0.0, 10.0, 20.0)


def test_of_a_folder_the_models_own_is_taken(folder: Path) -> None:
    assert alphas_of(folder, "lda/demo/drift@20") == [0.0, 3.0, 6.0]
    assert alphas_of(folder, "lda/demo/drift@10") == [0.0, 10.0, 20.0]


def test_another_pairs_calibration_is_refused(folder: Path) -> None:
    with pytest.raises(LDAError, match=r"is a calibration of demo/drift@10 against"):
        alphas_of(folder / "ten.json", "lda/demo/drift@20")
    with pytest.raises(
        LDAError, match=r"holds 0 calibrations of demo/drift@5 .*among 2"
    ):
        alphas_of(folder, "lda/demo/drift@5")
    write(calibration("demo/drift@10", 9.0), folder / "again.json")
    with pytest.raises(LDAError, match="holds 2 calibrations"):
        alphas_of(folder, "lda/demo/drift@10")


def test_without_a_model_a_folder_names_none(folder: Path) -> None:
    with pytest.raises(LDAError, match="Name a file"):
        calibrated_alphas(folder)


def test_an_invalid_calibration_has_no_sweep(tmp_path: Path) -> None:
    write(calibration("demo/drift@5", None), tmp_path / "five.json")
    with pytest.raises(LDAError, match="nothing to amplify"):
        parse_alphas(str(tmp_path / "five.json"))
    with pytest.raises(LDAError, match="cannot be read"):
        parse_alphas(str(tmp_path / "missing.json"))
