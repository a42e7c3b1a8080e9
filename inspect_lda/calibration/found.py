"""What a calibration found, as a file: versioned, and only good for its own pair.

No torch here: tasks read the grid of a file before any model is loaded.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from inspect_lda.calibration.records import (
    Frozen,
    Ledger,
    PairRecord,
    Plan,
    Point,
    PromptRecord,
    Reference,
    Settings,
    Trial,
)
from inspect_lda.errors import LDAError

Schema = Literal["inspect_lda.calibration/1"]
SCHEMA: Schema = "inspect_lda.calibration/1"
LARGEST = 100.0
"""No calibration looks beyond; it is also the largest alpha a task takes."""

Limit = Literal["kl_budget", "surprise", "noise", "range", "coherence"]


class Calibration(Frozen):
    """An alpha, and everything it was chosen by.

    Attributes:
        alpha: The largest alpha within all limits; None if there is none.
        limited_by: Which limit that is; None without an alpha.
        grid: Alphas for a sweep; empty without an alpha.
        invalid: Why there is no alpha; None if there is one.
        alpha_kl: Where the KL budget is spent.
        alpha_surprise: Where the surprise reaches its margin; None: nowhere.
        alpha_honest: Largest alpha by the self-test; None if it was not run.
        curves: By alpha, upwards from 0.
        trials: In the order they were made.
    """

    schema_: Literal["inspect_lda.calibration/1"] = Field(
        default=SCHEMA, alias="schema"
    )
    pair: PairRecord
    prompts: PromptRecord
    settings: Settings
    alpha: float | None = None
    limited_by: Limit | None = None
    grid: tuple[float, ...] = ()
    invalid: str | None = None
    alpha_kl: float | None = None
    alpha_surprise: float | None = None
    alpha_honest: float | None = None
    reference: Reference
    curves: tuple[Point, ...] = ()
    trials: tuple[Trial, ...] = ()
    ledger: Ledger
    plan: Plan | None = None

    @property
    def target(self) -> float:
        """The least coherent share that was accepted."""
        found = self.reference
        return self.settings.keep * found.coherent / found.rollouts

    @property
    def names(self) -> tuple[str, str]:
        """`after` and `before`, as the pair is called in logs."""
        return self.pair.after, self.pair.before

    @property
    def brief(self) -> dict[str, Any]:
        """What every output of the model says of it in a log."""
        return {
            "alpha": self.alpha,
            "limited_by": self.limited_by,
            "settings": self.settings.model_dump(),
            "pair_kl": self.reference.pair_kl,
            "prompts": self.prompts.sha256,
        }

    def chosen(self) -> float:
        """The alpha.

        Raises:
            LDAError: If there is none; says why.
        """
        if self.alpha is None:
            raise LDAError(
                f"no alpha for {self.pair.after} against {self.pair.before} within "
                f"kl_budget={self.settings.kl_budget:g}: {self.invalid}"
            )
        return self.alpha


def read(path: str | Path) -> Calibration:
    """Read a calibration that `inspect-lda alpha --out` wrote.

    Raises:
        LDAError: If it cannot be read or is none.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
        return Calibration.model_validate_json(text)
    except OSError as error:
        raise LDAError(
            f"calibration={str(path)!r} cannot be read ({error.strerror}). Allowed: a "
            "file that `inspect-lda alpha PAIR --out DIR` wrote"
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise LDAError(
            f"calibration={str(path)!r} is no calibration of this version ({SCHEMA}). "
            "Write it anew: `inspect-lda alpha PAIR --out DIR`"
        ) from error


def write(calibration: Calibration, path: Path) -> None:
    """Write a calibration as JSON."""
    text = calibration.model_dump_json(by_alias=True, indent=1)
    path.write_text(f"{text}\n", encoding="utf-8")
