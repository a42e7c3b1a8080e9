"""What the whole vocabulary says of a step that drew from a part of it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify
from inspect_lda.decoding.asked import Asked
from inspect_lda.decoding.batch import Edit, Settings
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.step import Stepper
from inspect_lda.engines.api.choosing import Plain
from inspect_lda.engines.api.listing import Listing
from inspect_lda.engines.api.stepping import CPU, nets_of
from inspect_lda.engines.api.support import Support
from inspect_lda.engines.rows import RowState

GRID = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0)
"""Sizes of the alphas that an error may recommend."""


@dataclass(frozen=True)
class Audit:
    """One step, with the whole vocabulary known.

    Attributes:
        tv: Total variation between the distribution drawn from and the one of the
            whole vocabulary, both with the row's sampling settings.
        lost: Amplified mass outside the support.
        grid: What that would be at other alphas (`alphas_below`), in their order.
    """

    tv: float
    lost: float
    grid: tuple[float, ...]


def alphas_below(alpha: float) -> tuple[float, ...]:
    """Alphas of the grid that are nearer to 0 than this one, on its side."""
    sign = math.copysign(1.0, alpha)
    return tuple(sign * size + 0.0 for size in GRID if size < abs(alpha))


@torch.inference_mode()
def audit(
    row: RowState,
    support: Support,
    whole: tuple[Listing, Listing],
    barred: Iterable[int] = (),
) -> Audit:
    """Compare a step with what it would have been on the whole vocabulary.

    Args:
        row: Before the step is recorded in it.
        support: What the step draws from.
        whole: All of `after`, and all of `before`.
        barred: Ids that are no token.
    """
    after, before = _vectors(*whole)
    allowed = torch.ones(after.shape[-1], dtype=torch.bool)
    allowed[list(barred)] = False
    view = _Whole(row, after, before, allowed)
    inside = torch.zeros(1, view.known.width, dtype=torch.bool)
    inside[0, list(support.ids)] = True
    drawn, lost = view.step(inside)
    everything, _ = view.step(None)
    tv = float((drawn - everything).abs().sum() / 2)
    grid = (view.lost_at(alpha, inside) for alpha in alphas_below(row.request.alpha))
    return Audit(tv, lost, tuple(grid))


class _Whole:
    """A row's next step with the whole vocabulary known.

    Args:
        row: The row.
        after: `[1, V]` log-probabilities.
        before: `[1, V]` log-probabilities.
        allowed: `[V]` bool, ids that are tokens.
    """

    def __init__(
        self, row: RowState, after: Tensor, before: Tensor, allowed: Tensor
    ) -> None:
        self.known = KnownIds(allowed, allowed)
        self._row, self._allowed = row, allowed
        self._after, self._before = after, before
        sampling = row.request.sampling
        self._settings = Settings.of([sampling], [row.request.alpha], CPU)
        self._edits = []
        if self._settings.edits:
            self._edits = [Edit.of(0, sampling, row.counts, CPU)]

    def step(self, drawable: Tensor | None) -> tuple[Tensor, float]:
        """Every id's chance, and the mass outside of what is drawable."""
        choose = Plain(0.5)
        asked = Asked(
            settings=self._settings,
            edits=self._edits,
            uniforms=torch.zeros(1, dtype=torch.float64),
            top=0,
            drawable=drawable,
            choose=choose,
            nets=nets_of(self._row),
        )
        scratch = Scratch.of(1, self.known.width, CPU)
        stepper = Stepper(self.known, asked, scratch, careful=True)
        step = stepper(self._after, self._before)
        return choose.chances, float(step.evidence.lost)

    def lost_at(self, alpha: float, inside: Tensor) -> float:
        """The mass outside at another alpha, without nets."""
        logits = amplify(self._after, self._before, alpha, allowed=self._allowed)
        scaled = self._settings.scale(logits)[:, : self.known.width].clone()
        for edit in self._edits:
            edit.apply(scaled)
        return float(torch.softmax(scaled.double(), dim=-1)[~inside].sum())


def _vectors(after: Listing, before: Listing) -> tuple[Tensor, Tensor]:
    """Log-probabilities `[1, V]` of both, by id."""
    width = 1 + max(*after.logprobs, *before.logprobs)
    both = torch.full((2, width), -torch.inf)
    for index, listing in enumerate((after, before)):
        ids = torch.tensor(list(listing.logprobs))
        both[index, ids] = torch.tensor(list(listing.logprobs.values()))
    return both[:1], both[1:]
