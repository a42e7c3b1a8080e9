"""One decoding step of a batch: from the logits of both checkpoints to the evidence."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.asked import Asked as Asked
from inspect_lda.decoding.asked import Choose as Choose
from inspect_lda.decoding.asked import Other as Other
from inspect_lda.decoding.distribution import Distribution
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.measure import (
    Divergence,
    StepEvidence,
    diverge,
    diverge_with_infinities,
    is_implausible,
)
from inspect_lda.decoding.reach import Reach
from inspect_lda.decoding.sample import draw
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.support import Support


class Step(NamedTuple):
    """What a step gives.

    Attributes:
        evidence: What is recorded of the drawn ids.
        ids: `[batch, 1 + top]`, the drawn id and the most likely ones.
        log_q: `[batch, 1 + top]`, their log-probabilities where they were drawn.
        log_p_after: The same under `after` with the rows' sampling settings.
        log_p_before: The same under `before`.
        others: `[batch, others]`, log-probabilities of the drawn ids at other alphas.
    """

    evidence: StepEvidence
    ids: Tensor
    log_q: Tensor
    log_p_after: Tensor
    log_p_before: Tensor
    others: Tensor


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
        mass, reach = self.scratch.mass, self._reach
        logits = reach.combined(after, before)
        support = reach.support(logits)
        q, held = reach.distribution(logits, support)
        token = self._drawn(q).unsqueeze(-1)
        ids = self._reported(token, q)
        log_q = q.log(ids, q.log_norm(token))
        others = reach.log_at((after, before), logits, support, token)
        # From here on the memory of q is that of the next distribution.
        whole = Distribution.of(logits.before, mass)
        norm_before = whole.log_norm(token)
        log_p_before = self._log_sampled(whole, norm_before, ids, support)
        whole = Distribution.of(logits.after, mass)
        norm = whole.log_norm(token)
        apart = self._divergence(whole, norm, logits.before, norm_before)
        log_p_plain = whole.log(token, norm)
        implausible = is_implausible(whole, token)
        tail = (
            held.lost
            if support is None
            else support.tail(whole.mass, self.scratch.spare)
        )
        log_p_after = self._log_sampled(whole, norm, ids, support)
        evidence = StepEvidence(
            log_q=log_q[:, :1],
            log_p_after=log_p_after[:, :1],
            log_p_before=log_p_before[:, :1],
            log_p_plain=log_p_plain,
            entropy_after=apart.entropy,
            kl=apart.kl,
            implausible=implausible,
            only_after=apart.only_after,
            tail=tail,
            **held._asdict(),
        )
        return Step(evidence, ids, log_q, log_p_after, log_p_before, others)

    @property
    def _reach(self) -> Reach:
        return Reach(self.known, self.asked, self.scratch, self.careful)

    def _drawn(self, q: Distribution) -> Tensor:
        greedy = self.asked.settings.greedy
        if self.asked.choose is not None:
            return self.asked.choose(q.probabilities(greedy))
        return draw(q.mass, q.logits, self.asked.uniforms, greedy)

    def _reported(self, token: Tensor, q: Distribution) -> Tensor:
        if self.asked.top == 0:
            return token
        return torch.cat([token, q.logits.topk(self.asked.top, dim=-1).indices], -1)

    def _log_sampled(
        self,
        whole: Distribution,
        norm: Tensor,
        ids: Tensor,
        support: Support | None,
    ) -> Tensor:
        """Log-probabilities where the rows would sample a checkpoint from.

        Args:
            whole: The checkpoint at the temperature; its masses are written to.
            norm: Its `log_norm`.
            ids: `[batch, n]`, the first of which was drawn.
            support: What may be drawn.
        """
        if self.asked.edits or support is not None:
            edited = self.scratch.amplified.copy_(whole.logits)
            self._reach.edit(edited)
            if support is not None:
                support.restrict(edited)
            whole = Distribution.of(edited, self.scratch.mass)
            norm = whole.log_norm(ids[:, :1])
        log_p = self._reach.truncated(whole).log(ids, norm)
        if support is None or not self.careful:
            return log_p
        # `before` may find the whole support impossible: then it says none of it.
        nothing = whole.logits.amax(-1, keepdim=True).isneginf()
        return log_p.masked_fill(nothing, -torch.inf)

    def _divergence(
        self, after: Distribution, norm: Tensor, before: Tensor, norm_before: Tensor
    ) -> Divergence:
        norms = (norm, norm_before)
        if self.careful:
            return diverge_with_infinities(after, before, norms)
        # The amplified logits have served.
        spare = self.scratch.amplified
        return diverge(after, before, norms, self.known, spare)
