"""From the logits of both checkpoints to drawn tokens and their evidence."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import known_logits
from inspect_lda.decoding.measure import measure
from inspect_lda.decoding.sample import draw
from inspect_lda.decoding.truncate import Settings, edit, truncate
from inspect_lda.engines.base import EngineError, TokenLogprobs
from inspect_lda.engines.rows import RowState


class Sampler:
    """Draws one token a row, every setting per row.

    Args:
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.
    """

    def __init__(self, allowed: Tensor, shared: Tensor) -> None:
        self._allowed = allowed
        self._shared = shared
        self._rows: Sequence[RowState] | None = None
        self._cached: Settings | None = None

    def __call__(
        self, amplified: Tensor, after: Tensor, before: Tensor, rows: list[RowState]
    ) -> list[int]:
        """Draw, measure and record.

        Args:
            amplified: `[batch, V]` float32, from `decoding.amplify`; changed in place.
            after: `[batch, V]` logits of `after` alone.
            before: `[batch, V_before]` logits of `before` alone.
            rows: One row a batch entry; finished rows are drawn but not recorded.

        Raises:
            EngineError: If a row holds NaN, +inf or no possible token.
        """
        settings = self._settings(rows, amplified.device)
        temperature = settings.temperature.unsqueeze(-1)
        after = known_logits(after, self._allowed)
        before = known_logits(before, self._shared)
        log_after = torch.log_softmax(after / temperature, dim=-1)
        log_before = torch.log_softmax(before / temperature, dim=-1)
        log_q = self._distribution(amplified, settings, rows)
        reference = (log_after, log_before)
        if settings.edits or settings.truncates:
            reference = (
                self._distribution(after, settings, rows),
                self._distribution(before, settings, rows),
            )
        uniforms = torch.tensor(
            [row.uniforms.next() for row in rows], dtype=torch.float64
        ).to(amplified.device)
        token = draw(log_q, uniforms, settings.greedy)
        step = measure(token, log_q, *reference, log_after, log_before)
        step = step._replace(log_q=step.log_q.masked_fill(settings.greedy, 0.0))
        lost = self._shared & log_before.isneginf() & ~log_after.isneginf()
        values = torch.stack(
            [token.double(), *(v.double() for v in step), lost.sum(-1).double()]
        ).T.tolist()
        self._record_logprobs(token, log_q, *reference, rows)
        for row, (drawn, *evidence) in zip(rows, values, strict=True):
            if not row.done:
                row.take(int(drawn), evidence)
        return [int(value[0]) for value in values]

    def _settings(self, rows: list[RowState], device: torch.device) -> Settings:
        # The batch makes a new list whenever a row joins or leaves.
        if self._cached is None or rows is not self._rows:
            self._rows = rows
            self._cached = Settings.of([row.request.sampling for row in rows], device)
        return self._cached

    def _distribution(
        self, logits: Tensor, settings: Settings, rows: list[RowState]
    ) -> Tensor:
        for index in settings.edits:
            edit(logits[index], rows[index].request.sampling, rows[index].counts)
        peak = logits.amax(-1)
        if not bool(peak.isfinite().all()):
            bad = int((~peak.isfinite()).nonzero()[0])
            raise EngineError(
                f"the distribution of a request at alpha="
                f"{rows[bad].request.alpha} has no usable token (largest logit "
                f"{float(peak[bad])}): the checkpoint produced NaN or inf. Try "
                "-M dtype=float32 or a smaller alpha."
            )
        scaled = truncate(logits / settings.temperature.unsqueeze(-1), settings)
        return torch.log_softmax(scaled, dim=-1)

    def _record_logprobs(
        self,
        token: Tensor,
        log_q: Tensor,
        log_after: Tensor,
        log_before: Tensor,
        rows: list[RowState],
    ) -> None:
        for index, row in enumerate(rows):
            count = row.request.top_logprobs
            if count is None or row.done:
                continue
            ids = log_q[index].topk(max(count, 1)).indices[:count].tolist()
            entries = tuple(
                (
                    entry,
                    float(log_q[index, entry]),
                    float(log_after[index, entry]),
                    float(log_before[index, entry]),
                )
                for entry in ids
            )
            drawn = int(token[index])
            row.logprobs.append(
                TokenLogprobs(drawn, float(log_q[index, drawn]), entries)
            )
