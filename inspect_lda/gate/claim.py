"""What a decision rests on before all FAIL claims are held against one error."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from inspect_lda.gate.report import Decision


@dataclass(frozen=True)
class Claim:
    """A decision, but for its FAIL, which depends on all other claims.

    Attributes:
        made: The decision as it would be without a FAIL.
        p: P value of the FAIL; None where a FAIL is certain, or no test.
        fails: Whether it fails without any test.
        needs: How much is missing, by the error that is left for this FAIL once it is
            shared with all others; None if that is not known.
    """

    made: Decision
    p: float | None
    fails: bool = False
    needs: Callable[[float], int | None] | None = None


def missing(units: float, growth: float) -> int | None:
    """How many more that is; None if no number would do."""
    return None if math.isinf(growth) else max(0, math.ceil(units * (growth - 1)))
