"""Rows of logits whose token the pair has drawn itself, the evidence beside it.

The steps are those of the transformers engine, by its own code, with the same uniforms:
in float32 the same request has the same text there and here. Which rows they are is
read from what rides beside their hidden states, so the host waits for the device once a
step; a step without such requests waits for nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inspect_lda.checkpoints.block import IdsBlock
from inspect_lda.engines.base import Scored, ScoreRequest
from inspect_lda.engines.forced_rows import ForcedRows
from inspect_lda.engines.sampler import Sampler
from inspect_lda.engines.vllm.combine import mask
from inspect_lda.engines.vllm.draw import Drawn, write_refusal, write_step
from inspect_lda.engines.vllm.slots import Place, Slot

MAX_LOGITS = 1 << 24
"""Most logits of given tokens that are worked on at a time (64 MiB in float32)."""

Combined = Callable[[Tensor, Tensor, Tensor], Tensor]


class Drawing:
    """Draws the tokens of requests that ask for it, and scores given ones.

    Args:
        ids: What the tokenizers have in common.
        end: An id that ends a completion, for rows without a possible token.
        device: Where logits are.

    Attributes:
        slots: The requests that ask for it, by the number that rides beside the hidden
            states of their tokens; from 1.
    """

    def __init__(self, ids: IdsBlock, end: int, device: torch.device) -> None:
        width = ids.allowed[-1][1]
        allowed, shared = (
            mask(part, width).to(device) for part in (ids.allowed, ids.shared)
        )
        self.slots: dict[int, Slot] = {}
        self.width = width
        self._end = end
        self._sampler = Sampler(allowed, shared)
        self._forced = ForcedRows(allowed, shared)
        self._places: list[Place] = []
        self._of: list[Slot] = []

    def __call__(
        self, after: Tensor, before: Tensor, side: Tensor, combined: Combined
    ) -> Tensor:
        """Logits `[rows, V]` to take the most likely id of, or amplified ones.

        Args:
            after: `[rows, V]` logits of `after`.
            before: `[rows, V_before]` logits of `before`.
            side: `[rows, 3]` what rides beside their hidden states: alpha, slot,
                position.
            combined: The amplified logits of rows that are not drawn here.
        """
        rows = _sorted(self.slots, side[:, 1:].tolist())
        if len(rows.plain) == len(after):
            return combined(after, before, side[:, 0])
        logits = after.new_full(after.shape, -torch.inf, dtype=torch.float32)
        if rows.plain:
            plain = torch.tensor(rows.plain, device=after.device)
            logits[plain] = combined(after[plain], before[plain], side[plain, 0])
        said = [*self._refused(rows.refused)]
        said += self._drawn(rows.drawn, after, before)
        for run in rows.given:
            said += self._scored(run, after, before)
        _write(logits, said)
        return logits

    def _refused(self, rows: Iterable["_Row"]) -> Iterable["_Said"]:
        for row in rows:
            given = row.slot.given(row.step)
            token = self._end if given is None or given >= self.width else given
            yield _Said(
                row.index, token, write_refusal(row.slot.draw, token, row.slot.reason)
            )

    def _drawn(
        self, rows: Sequence["_Row"], after: Tensor, before: Tensor
    ) -> Iterable["_Said"]:
        if not rows:
            return
        if len(rows) < len(after):
            here = torch.tensor([row.index for row in rows], device=after.device)
            after, before = after[here], before[here]
        for row, place in zip(rows, self._placed(rows, after, before), strict=True):
            drawn = place.drawn
            assert drawn is not None, "the sampler records every row"
            if drawn.values[0] != drawn.values[0]:
                # Nothing could be drawn: the request shall end.
                drawn = drawn._replace(token=self._end)
            yield _Said(row.index, drawn.token, write_step(row.slot.draw, drawn))

    def _placed(
        self, rows: Sequence["_Row"], after: Tensor, before: Tensor
    ) -> Sequence[Place]:
        slots = [row.slot for row in rows]
        if slots != self._of:
            # The sampler prepares the settings of a list that it does not know.
            self._of = slots
            self._places = [Place(row.slot, row.step) for row in rows]
        for row, place in zip(rows, self._places, strict=True):
            place.step = row.step
        self._sampler(after, before, self._places)
        return self._places

    def _scored(
        self, run: Sequence["_Row"], after: Tensor, before: Tensor
    ) -> Iterable["_Said"]:
        """Say what is asked of given tokens in consecutive rows."""
        most = max(1, MAX_LOGITS // self.width)
        for start in range(0, len(run), most):
            part = run[start : start + most]
            first, last = part[0], part[-1]
            request, here = first.slot.score, slice(first.index, last.index + 1)
            assert request is not None, "nothing is given"
            scored = self._forced(request, after[here], before[here], first.step)
            for place, row in enumerate(part):
                drawn = _one(request, scored, row.step, place)
                logits = write_step(row.slot.draw, drawn)
                yield _Said(row.index, drawn.token, logits)


@dataclass(frozen=True)
class _Row:
    """A row of logits that somebody asked for."""

    index: int
    slot: Slot
    step: int


@dataclass(frozen=True)
class _Said:
    """A row's token, and what stands in other columns."""

    index: int
    token: int
    logits: dict[int, float]


@dataclass
class _Rows:
    """The rows of a step by what becomes of them."""

    plain: list[int] = field(default_factory=list)
    refused: list[_Row] = field(default_factory=list)
    drawn: list[_Row] = field(default_factory=list)
    given: list[list[_Row]] = field(default_factory=list)

    def follow(self, row: _Row) -> None:
        """Add a given token to the run that it continues, or begin one."""
        last = self.given[-1][-1] if self.given else None
        if last is not None and (last.slot, last.index + 1, last.step + 1) == (
            row.slot,
            row.index,
            row.step,
        ):
            self.given[-1].append(row)
        else:
            self.given.append([row])


def _sorted(slots: dict[int, Slot], sides: Sequence[Sequence[float]]) -> _Rows:
    rows = _Rows()
    for index, (number, position) in enumerate(sides):
        # Rows of a dummy run hold any number, and those before the last token of a
        # prompt predict it.
        slot = slots.get(int(number)) if number.is_integer() else None
        row = slot and _Row(index, slot, slot.step(int(position)))
        if not row or not slot:
            rows.plain.append(index)
        elif slot.reason:
            rows.refused.append(row)
        elif slot.score is not None and slot.given(row.step) is not None:
            rows.follow(row)
        elif slot.score is None and row.step >= 0:
            rows.drawn.append(row)
        else:
            rows.plain.append(index)
    return rows


def _one(request: ScoreRequest, scored: Scored, step: int, place: int) -> Drawn:
    curves: tuple[tuple[float, ...], ...] = ()
    if (found := scored.curves) is not None:
        parts = zip(found.kl, found.surprise, found.implausible, strict=True)
        curves = tuple(tuple(part[place] for part in one) for one in parts)
    return Drawn(
        request.continuation[step],
        scored.steps[place] if scored.steps else (),
        log_q=tuple(one[place] for one in scored.log_q),
        ends=(scored.log_p_after[place], scored.log_p_before[place]),
        curves=curves,
    )


def _write(logits: Tensor, said: Sequence[_Said]) -> None:
    entries = [
        (one.index, column, value)
        for one in said
        for column, value in ((one.token, 0.0), *one.logits.items())
    ]
    rows, columns, values = zip(*entries, strict=True)
    device = logits.device
    places = (torch.tensor(part, device=device) for part in (rows, columns))
    logits.index_put_(tuple(places), torch.tensor(values, device=device))
