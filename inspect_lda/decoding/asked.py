"""What the rows of a batch ask of one decoding step."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from torch import Tensor

from inspect_lda.decoding.batch import Edit, Settings
from inspect_lda.decoding.nets import NetRows

Choose: TypeAlias = Callable[[Tensor], Tensor]
"""Picks the ids `[batch]` of a step, given the chance of every id to be drawn (`[batch,
V]` float64, 0 for dropped ids, a sum of 1). A row may be NaN; any id will do there."""


class Other(NamedTuple):
    """Another alpha at which drawn tokens are measured, one a row.

    Attributes:
        alpha: `[batch, 1]`.
        nets: What would hold amplification back there; None where nothing would.
    """

    alpha: Tensor
    nets: NetRows | None = None


class Asked(NamedTuple):
    """What the rows of a batch ask for.

    Attributes:
        settings: Their sampling settings.
        edits: Their penalties and bias.
        uniforms: `[batch]` float64.
        top: How many of the most likely ids are reported.
        placebos: Rows whose push goes to other tokens, and in which order `[V]`.
        drawable: `[batch, V]` bool, the support of every row, where the caller knows
            it; None leaves it to the settings.
        choose: Picks the ids; None draws them by the uniforms.
        nets: What holds amplification back; None where nothing does.
        others: At which other alphas the drawn ids are measured.
    """

    settings: Settings
    edits: Sequence[Edit]
    uniforms: Tensor
    top: int
    placebos: Sequence[tuple[int, Tensor]] = ()
    drawable: Tensor | None = None
    choose: Choose | None = None
    nets: NetRows | None = None
    others: Sequence[Other] = ()
