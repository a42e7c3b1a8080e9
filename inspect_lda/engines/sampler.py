"""From the logits of both checkpoints to drawn tokens and their evidence."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify, known_logits
from inspect_lda.decoding.measure import Distribution, measure
from inspect_lda.decoding.placebo import placebo, placebo_order
from inspect_lda.decoding.sample import draw
from inspect_lda.decoding.truncate import Settings, edit, truncate
from inspect_lda.engines.base import TokenLogprobs
from inspect_lda.engines.rows import RowState


class Sampler:
    """Draws one token a row, every setting per row.

    Args:
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.
    """

    def __init__(self, allowed: Tensor, shared: Tensor) -> None:
        # Padding of an embedding table stands at its end: cutting it off is free,
        # where a mask is a pass over every logit.
        self._width = int(allowed.nonzero().max()) + 1
        self._allowed = _mask_if_needed(allowed[: self._width])
        self._shared = _mask_if_needed(shared[: self._width])
        self._rows: Sequence[RowState] | None = None
        self._cached: Settings | None = None

    @property
    def width(self) -> int:
        """Ids below this can be sampled, apart from those that are masked."""
        return self._width

    def __call__(
        self, after: Tensor, before: Tensor, rows: list[RowState]
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
        settings = self._settings(rows, after.device)
        after = known_logits(after, self._allowed, self._width)
        before = known_logits(before, self._shared, self._width)
        amplified = amplify(after, before, settings.alpha, shared=self._shared)
        _give_placebos(after, amplified, rows)
        plain = (
            Distribution(settings.scale(after)),
            Distribution(settings.scale(before)),
        )
        q = self._distribution(amplified, settings, rows)
        reference = plain
        if settings.edits or settings.truncates:
            reference = (
                self._distribution(after, settings, rows),
                self._distribution(before, settings, rows),
            )
        token = draw(q.p, q.logits, _uniforms(rows, after.device), settings.greedy)
        step = measure(token, q, *reference, *plain)
        # The one place where the host waits for the device.
        values = torch.stack([token.double(), *(v.double() for v in step)]).T.tolist()
        self._record_logprobs(token, q, *reference, rows)
        for row, (drawn, *evidence) in zip(rows, values, strict=True):
            if not row.done:
                row.take(int(drawn), evidence)
        return [int(value[0]) for value in values]

    def _settings(self, rows: list[RowState], device: torch.device) -> Settings:
        # The batch makes a new list whenever a row joins or leaves.
        if self._cached is None or rows is not self._rows:
            self._rows = rows
            self._cached = Settings.of(
                [row.request.sampling for row in rows],
                [row.request.alpha for row in rows],
                device,
            )
        return self._cached

    def _distribution(
        self, logits: Tensor, settings: Settings, rows: list[RowState]
    ) -> Distribution:
        if settings.edits:
            logits = logits.clone()
        for index in settings.edits:
            edit(logits[index], rows[index].request.sampling, rows[index].counts)
        return Distribution(truncate(settings.scale(logits), settings))

    def _record_logprobs(
        self,
        token: Tensor,
        q: Distribution,
        after: Distribution,
        before: Distribution,
        rows: list[RowState],
    ) -> None:
        wanted = [row.request.top_logprobs for row in rows if not row.done]
        most = max((count for count in wanted if count is not None), default=None)
        if most is None:
            return
        top = q.logits.topk(max(most, 1), dim=-1).indices
        shown = [x.log(top).tolist() for x in (q, after, before)]
        drawn = q.log(token.unsqueeze(-1)).squeeze(-1).tolist()
        for index, row in enumerate(rows):
            count = row.request.top_logprobs
            if count is None or row.done:
                continue
            columns = (top[index].tolist(), *(values[index] for values in shown))
            entries = tuple(zip(*columns, strict=True))[:count]
            row.logprobs.append(TokenLogprobs(int(token[index]), drawn[index], entries))


def _give_placebos(after: Tensor, amplified: Tensor, rows: list[RowState]) -> None:
    for index, row in enumerate(rows):
        if row.request.placebo:
            seed, step = row.request.sampling.seed, len(row.tokens)
            order = placebo_order(seed, step, after.shape[-1]).to(after.device)
            amplified[index] = placebo(after[index], amplified[index], order)


def _mask_if_needed(mask: Tensor) -> Tensor | None:
    return None if bool(mask.all()) else mask


def _uniforms(rows: list[RowState], device: torch.device) -> Tensor:
    values = [row.uniforms.next() for row in rows]
    return torch.tensor(values, dtype=torch.float64, device=device)
