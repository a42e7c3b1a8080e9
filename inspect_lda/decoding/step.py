"""One decoding step of a batch: from the logits of both checkpoints to the evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.batch import Edit, Settings
from inspect_lda.decoding.distribution import Distribution
from inspect_lda.decoding.known import KnownIds, Logits
from inspect_lda.decoding.measure import (
    Divergence,
    StepEvidence,
    diverge,
    diverge_with_infinities,
    is_implausible,
)
from inspect_lda.decoding.placebo import placebo
from inspect_lda.decoding.sample import draw
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.truncate import RANKED, truncate


class Asked(NamedTuple):
    """What the rows of a batch ask for.

    Attributes:
        settings: Their sampling settings.
        edits: Their penalties and bias.
        uniforms: `[batch]` float64.
        top: How many of the most likely ids are reported.
        placebos: Rows whose push goes to other tokens, and in which order `[V]`.
        given: `[batch, 1]` ids that are measured instead of drawn ones, if any.
    """

    settings: Settings
    edits: Sequence[Edit]
    uniforms: Tensor
    top: int
    placebos: Sequence[tuple[int, Tensor]] = ()
    given: Tensor | None = None


class Step(NamedTuple):
    """What a step gives.

    Attributes:
        evidence: What is recorded of the drawn ids.
        ids: `[batch, 1 + top]`, the drawn id and the most likely ones.
        log_q: `[batch, 1 + top]`, their log-probabilities where they were drawn.
        log_p_after: The same under `after` with the rows' sampling settings.
        log_p_before: The same under `before`.
    """

    evidence: StepEvidence
    ids: Tensor
    log_q: Tensor
    log_p_after: Tensor
    log_p_before: Tensor


@dataclass(frozen=True)
class Stepper:
    """Takes a step; one distribution after the other, in the same memory.

    Attributes:
        known: The ids of the pair.
        asked: What the rows ask for.
        scratch: Memory for as many rows.
        careful: Expect infinities and rank every id. Otherwise a step is a few passes
            over the vocabulary, and rows that need more are NaN or infinite where
            `is_sound` looks.
    """

    known: KnownIds
    asked: Asked
    scratch: Scratch
    careful: bool

    def __call__(self, after: Tensor, before: Tensor) -> Step:
        """Amplify, draw and measure.

        Args:
            after: `[batch, V]` logits of `after` alone; not written to.
            before: `[batch, V_before]` logits of `before` alone; not written to.
        """
        mass, greedy = self.scratch.mass, self.asked.settings.greedy
        logits = self._combined(after, before)
        self._edit(logits.amplified)
        q = self._truncated(Distribution.of(logits.amplified, mass))
        token = self.asked.given
        if token is None:
            token = draw(q.mass, q.logits, self.asked.uniforms, greedy).unsqueeze(-1)
        ids = self._reported(token, q)
        log_q = q.log(ids, q.log_norm(token))
        # From here on the memory of q is that of the next distribution.
        whole = Distribution.of(logits.before, mass)
        norm_before = whole.log_norm(token)
        log_p_before = self._log_sampled(whole, norm_before, ids)
        whole = Distribution.of(logits.after, mass)
        norm = whole.log_norm(token)
        apart = self._divergence(whole, norm, logits.before, norm_before)
        log_p_plain = whole.log(token, norm)
        implausible = is_implausible(whole, token)
        log_p_after = self._log_sampled(whole, norm, ids)
        evidence = StepEvidence(
            log_q=log_q[:, :1],
            log_p_after=log_p_after[:, :1],
            log_p_before=log_p_before[:, :1],
            log_p_plain=log_p_plain,
            entropy_after=apart.entropy,
            kl=apart.kl,
            implausible=implausible,
            only_after=apart.only_after,
        )
        return Step(evidence, ids, log_q, log_p_after, log_p_before)

    def _combined(self, after: Tensor, before: Tensor) -> Logits:
        settings = self.asked.settings
        if self.careful:
            logits = self.known.carefully(after, before, settings)
        else:
            logits = self.known.quickly(after, before, settings, self.scratch)
        for row, order in self.asked.placebos:
            pushed = placebo(logits.after[row], logits.amplified[row], order)
            logits.amplified[row] = pushed
        return logits

    def _edit(self, scaled: Tensor) -> None:
        for edit in self.asked.edits:
            edit.apply(scaled)

    def _truncated(self, whole: Distribution) -> Distribution:
        if not self.asked.settings.truncates:
            return whole
        width = self.known.width if self.careful else RANKED
        spare = self.scratch.spare
        return whole.keep(truncate(whole, self.asked.settings, spare, width), spare)

    def _reported(self, token: Tensor, q: Distribution) -> Tensor:
        if self.asked.top == 0:
            return token
        return torch.cat([token, q.logits.topk(self.asked.top, dim=-1).indices], -1)

    def _log_sampled(self, whole: Distribution, norm: Tensor, ids: Tensor) -> Tensor:
        """Log-probabilities where the rows would sample a checkpoint from.

        Args:
            whole: The checkpoint at the temperature; its masses are written to.
            norm: Its `log_norm`.
            ids: `[batch, n]`, the first of which was drawn.
        """
        if self.asked.edits:
            edited = self.scratch.amplified.copy_(whole.logits)
            self._edit(edited)
            whole = Distribution.of(edited, self.scratch.mass)
            norm = whole.log_norm(ids[:, :1])
        return self._truncated(whole).log(ids, norm)

    def _divergence(
        self, after: Distribution, norm: Tensor, before: Tensor, norm_before: Tensor
    ) -> Divergence:
        norms = (norm, norm_before)
        if self.careful:
            return diverge_with_infinities(after, before, norms)
        # The amplified logits have served.
        spare = self.scratch.amplified
        return diverge(after, before, norms, self.known, spare)
