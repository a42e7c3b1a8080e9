"""From the logits of both checkpoints to drawn tokens and their evidence."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from inspect_lda.decoding.batch import Edit, Settings, send
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.measure import StepEvidence, is_sound
from inspect_lda.decoding.nets import NetRows, Netted
from inspect_lda.decoding.placebo import placebo_order
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.step import Asked, Other, Step, Stepper
from inspect_lda.engines.base import NO_NETS, Request, TokenLogprobs
from inspect_lda.engines.sampled import SampledRow

CPU_BYTES = 3 << 20
DEVICE_BYTES = 1 << 27
"""A step is taken for as many rows together as have logits of this size: on a CPU what
its cache holds, elsewhere what keeps the device busy without filling its memory."""
EVIDENCE = len(StepEvidence._fields)


class _Part(NamedTuple):
    """Rows of the batch that take a step together; some of them have nets.

    Attributes:
        rows: Where they stand in the batch.
        settings: Their sampling settings.
        scratch: Memory for as many.
        netted: Which of them have nets.
        others: At which other alphas they are measured, one list of the rows' alphas
            a measurement, and the same as a tensor.
    """

    rows: slice
    settings: Settings
    scratch: Scratch
    netted: tuple[int, ...]
    others: list[tuple[list[float], Tensor]]


class Sampler:
    """Draws one token a row, every setting per row.

    Args:
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.
    """

    def __init__(self, allowed: Tensor, shared: Tensor) -> None:
        self._known = KnownIds(allowed, shared)
        self._device = allowed.device
        size = CPU_BYTES if self._device.type == "cpu" else DEVICE_BYTES
        self._most = max(1, size // (4 * self.width))
        self._scratch = Scratch.of(0, 0, self._device)
        self._rows: Sequence[SampledRow] | None = None
        self._cached: list[_Part] = []

    @property
    def width(self) -> int:
        """Ids below this can be sampled, apart from those that are masked."""
        return self._known.width

    def __call__(
        self, after: Tensor, before: Tensor, rows: Sequence[SampledRow]
    ) -> list[int]:
        """Amplify, draw, measure and record.

        Args:
            after: `[batch, V]` logits of `after` alone.
            before: `[batch, V_before]` logits of `before` alone.
            rows: One row a batch entry; finished rows are drawn but not recorded. A
                row with NaN, +inf or no possible token ends with its `error`.

        Returns:
            The drawn ids.
        """
        uniforms = [row.uniforms.next() for row in rows]
        drawn = self._steps(after, before, rows, uniforms)
        odd = [i for i, values in enumerate(drawn) if not is_sound(*values)]
        if odd:
            again = self._steps(
                after[odd],
                before[odd],
                [rows[index] for index in odd],
                [uniforms[index] for index in odd],
                careful=True,
            )
            for index, values in zip(odd, again, strict=True):
                drawn[index] = values
        return [_record(row, *step) for row, step in zip(rows, drawn, strict=True)]

    def _steps(
        self,
        after: Tensor,
        before: Tensor,
        rows: Sequence[SampledRow],
        uniforms: list[float],
        *,
        careful: bool = False,
    ) -> list[tuple[list[float], list[float]]]:
        """What `_packed` says of each row, and its tokens' chances at other alphas."""
        top = max(row.request.top_logprobs or 0 for row in rows)
        most = max(len(row.request.others) for row in rows)
        packed = []
        for part in self._parts(rows):
            here = rows[part.rows]
            asked = Asked(
                part.settings,
                self._edits(here, part.settings),
                send(uniforms[part.rows], torch.float64, self._device),
                top,
                self._placebos(here),
                nets=self._nets(here, part.netted),
                others=[
                    Other(column, self._nets(here, part.netted, alphas))
                    for alphas, column in part.others
                ],
            )
            step = Stepper(self._known, asked, part.scratch, careful)
            packed.append(_packed(step(after[part.rows], before[part.rows]), most))
        # The one place where the host waits for the device.
        values: list[list[float]] = torch.cat(packed).tolist()
        ends = [len(row.request.others) for row in rows]
        return [
            (each[most:], each[:end]) for each, end in zip(values, ends, strict=True)
        ]

    def _parts(self, rows: Sequence[SampledRow]) -> list[_Part]:
        # The batch makes a new list whenever a row joins or leaves.
        if rows is self._rows:
            return self._cached
        most = min(self._most, len(rows))
        if self._scratch.mass.shape[0] < most:
            self._scratch = Scratch.of(most, self.width, self._device)
        self._cached = []
        for start in range(0, len(rows), most):
            here = slice(start, min(start + most, len(rows)))
            requests = [row.request for row in rows[here]]
            settings = Settings.of(
                [request.sampling for request in requests],
                [request.alpha for request in requests],
                self._device,
                [request.support for request in requests],
            )
            scratch = self._scratch.rows(len(requests))
            netted = tuple(i for i, one in enumerate(requests) if one.nets != NO_NETS)
            others = [
                (alphas, send(alphas, torch.float32, self._device).unsqueeze(-1))
                for alphas in _others(requests)
            ]
            self._cached.append(_Part(here, settings, scratch, netted, others))
        self._rows = rows
        return self._cached

    def _edits(self, rows: Sequence[SampledRow], settings: Settings) -> list[Edit]:
        return [
            Edit.of(i, rows[i].request.sampling, rows[i].counts, self._device)
            for i in settings.edits
        ]

    def _nets(
        self,
        rows: Sequence[SampledRow],
        netted: Sequence[int],
        alphas: Sequence[float] | None = None,
    ) -> NetRows | None:
        """The rows' nets, at their own alphas or at others."""
        if not netted:
            return None
        asked = []
        for index in netted:
            row = rows[index]
            one, step = row.request, len(row.tokens)
            alpha = one.alpha if alphas is None else alphas[index]
            asked.append(Netted(index, one.nets, alpha, step, one.placebo))
        return NetRows.of(asked, self._device)

    def _placebos(self, rows: Sequence[SampledRow]) -> list[tuple[int, Tensor]]:
        found = []
        for index, row in enumerate(rows):
            if row.request.placebo:
                seed, step = row.request.sampling.seed, len(row.tokens)
                order = placebo_order(seed, step, self.width).to(self._device)
                found.append((index, order))
        return found


def _others(requests: Sequence[Request]) -> list[list[float]]:
    """The rows' other alphas, column by column; a row without stays at its own."""
    return [
        [
            one.others[column] if column < len(one.others) else one.alpha
            for one in requests
        ]
        for column in range(max(len(one.others) for one in requests))
    ]


def _packed(step: Step, most: int) -> Tensor:
    """A row of numbers for each row of the batch: other alphas, the evidence, the ids.

    Args:
        step: What was drawn.
        most: How many other alphas there is room for.
    """
    others = pad(step.others, (0, most - step.others.shape[-1]))
    by_id = (step.ids, step.log_q, step.log_p_after, step.log_p_before)
    return torch.cat([others, *step.evidence, *by_id], dim=-1)


def _record(row: SampledRow, packed: list[float], others: list[float]) -> int:
    token = int(packed[EVIDENCE])
    if not row.done:
        if row.request.top_logprobs is not None:
            row.logprobs.append(_logprobs(packed, row.request.top_logprobs))
        row.take(token, packed[:EVIDENCE], others)
    return token


def _logprobs(packed: list[float], most: int) -> TokenLogprobs:
    by_id = packed[EVIDENCE:]
    count = len(by_id) // 4
    ids, q, after, before = (by_id[i * count : (i + 1) * count] for i in range(4))
    # Dropped ids, whose logits may equal that of a kept one, come last.
    top = sorted(
        zip(map(int, ids[1:]), q[1:], after[1:], before[1:], strict=True),
        key=lambda entry: -entry[1],
    )
    return TokenLogprobs(int(ids[0]), q[0], tuple(top[:most]))
