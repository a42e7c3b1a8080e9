"""The alphas of a sweep from a calibration of the pair that is tested.

A task makes its samples before its model is loaded, so what was found has to be there
already: a file of `inspect-lda alpha --out`, or a folder of them, of which the one of
the model is taken (`--model a,b,c` with one `-T alphas=FOLDER` sweeps a series).
"""

from pathlib import Path

from inspect_ai.model import Model, get_model

from inspect_lda.calibration.found import Calibration, read
from inspect_lda.errors import LDAError
from inspect_lda.naming import parse_name
from inspect_lda.tasks._behaviour import NO_MODEL, require_lda


def calibrated_alphas(path: Path) -> tuple[float, ...]:
    """The sweep of the calibration at `path`, without the -1 that is an arm of its own.

    Raises:
        LDAError: If there is none for the model, or it is of another pair.
    """
    found = _of_the_model(path)
    found.chosen()
    return tuple(sorted(alpha for alpha in found.grid if alpha != -1.0))


def _of_the_model(path: Path) -> Calibration:
    names = _names()
    if not path.is_dir():
        found = read(path)
        if names is not None and found.names != names:
            raise LDAError(
                f"alphas={str(path)!r} is a calibration of {_pair(found.names)}, the "
                f"model is {_pair(names)}. Calibrate it: inspect-lda alpha PAIR --out "
                "DIR"
            )
        return found
    if names is None:
        raise LDAError(
            f"alphas={str(path)!r} is a folder, of which the model decides a file, but "
            "no model was chosen yet. Name a file"
        )
    every = [read(file) for file in sorted(path.glob("*.json"))]
    fitting = [one for one in every if one.names == names]
    if len(fitting) != 1:
        raise LDAError(
            f"alphas={str(path)!r} holds {len(fitting)} calibrations of {_pair(names)} "
            f"among {len(every)}; it needs one. Make it: inspect-lda alpha PAIR --out "
            f"{path}"
        )
    return fitting[0]


def _names() -> tuple[str, str] | None:
    """`after` and `before` of the model that is tested; None if none is chosen yet."""
    try:
        model = get_model()
    except ValueError:
        return None
    if str(model) == NO_MODEL:  # left behind by an eval without a model
        return None
    require_lda(model)
    return _sides(model)


def _sides(model: Model) -> tuple[str, str]:
    from inspect_lda.checkpoints.sides import find_sides

    after, written = parse_name(str(model).partition("/")[2])
    before = model.model_args.get("before", written.get("before"))
    sides = find_sides(after, before)
    return sides.after.name, sides.before.name


def _pair(names: tuple[str, str]) -> str:
    return f"{names[0]} against {names[1]}"
