"""Three options, one alpha: a number, a budget to find it by, or a file with one."""

from collections.abc import Container
from typing import Any, Protocol

from inspect_lda.calibration.found import read
from inspect_lda.calibration.records import KL_BUDGET
from inspect_lda.errors import LDAError
from inspect_lda.values import AUTO


class Options(Protocol):
    """The part of `options.ModelOptions` that is read here."""

    @property
    def alpha(self) -> float | str:
        """A number or auto."""
        ...

    @property
    def kl_budget(self) -> float | None:
        """Nats a token."""
        ...

    @property
    def calibration(self) -> str | None:
        """A file."""
        ...


def chosen(options: Options, given: Container[str]) -> dict[str, Any]:
    """What `-M alpha=`, `-M kl_budget=` and `-M calibration=` say together.

    Args:
        options: As given.
        given: Names of those that are no defaults. A logged name holds an alpha, so
            that a log can be scored where the file is not.

    Returns:
        The options that change by it.

    Raises:
        LDAError: If they contradict each other, or the file cannot be used.
    """
    file, budget = options.calibration, options.kl_budget
    if options.alpha == AUTO:
        if file is not None:
            raise LDAError(
                f"-M calibration={file!r} holds an alpha that was found: leave out "
                "-M alpha=auto"
            )
        return {"kl_budget": KL_BUDGET if budget is None else budget}
    if budget is not None:
        raise LDAError(
            f"-M kl_budget={budget:g} is what alpha=auto is found by. Give "
            "-M alpha=auto, or leave it out"
        )
    return {} if file is None or "alpha" in given else {"alpha": read(file).chosen()}
