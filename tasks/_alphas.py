"""The alphas of a sweep, as people type them."""

import math
from collections.abc import Sequence
from pathlib import Path

from inspect_lda.arms import label
from inspect_lda.calibration.found import LARGEST
from inspect_lda.errors import LDAError
from inspect_lda.tasks._calibrated import calibrated_alphas

Alphas = str | float | Sequence[str | float]


def parse_alphas(alphas: Alphas) -> tuple[float, ...]:
    """`"0,0.5,1"`, `0.5`, `[0, "1e-1"]` (what -T makes of a comma list): sorted floats.

    A file that `inspect-lda alpha` wrote, or a folder of them, is its sweep.

    Raises:
        LDAError: If one is no finite number, is absurd, or occurs twice; or if there
            is none. If a calibration is of another pair.
    """
    if isinstance(alphas, str) and (path := _calibration(alphas)) is not None:
        return calibrated_alphas(path)
    items = alphas.split(",") if isinstance(alphas, str) else alphas
    values = [_number(item) for item in (_listed(items))]
    if not values:
        raise LDAError(f"alphas={alphas!r}: need at least one number, e.g. 0,0.5,1")
    if len({label(value) for value in values}) < len(values):
        raise LDAError(f"alphas={alphas!r}: one occurs twice")
    return tuple(sorted(values))


def parse_contrast(alphas: Alphas) -> tuple[float, ...]:
    """Alphas for a comparison of amplified with plain rollouts: 0 is added.

    Raises:
        LDAError: As `parse_alphas` does, and if none is above 0.
    """
    values = parse_alphas(alphas)
    if values[-1] <= 0:
        raise LDAError(f"alphas={alphas!r}: need one above 0, e.g. 0.5,1")
    return tuple(sorted({0.0, *values}))


def _calibration(text: str) -> Path | None:
    path = Path(text).expanduser()
    return path if text.endswith(".json") or path.is_dir() else None


def _listed(items: float | Sequence[str | float]) -> Sequence[str | float]:
    return items if isinstance(items, Sequence) else [items]


def _number(item: str | float) -> float:
    try:
        value = float(item)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(item, bool) or not abs(value) <= LARGEST:
        raise LDAError(
            f"alpha {item!r}: need a finite number within ±{LARGEST:g}; 0 is the model "
            "after training, 1 doubles what training changed, -1 is the model before"
        )
    return value + 0.0  # -0.0 is 0
