"""One decoding step of a batch: from the logits of both checkpoints to the evidence."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.asked import Asked as Asked
from inspect_lda.decoding.asked import Choose as Choose
from inspect_lda.decoding.distribution import Distribution
from inspect_lda.decoding.known import KnownIds, Logits
from inspect_lda.decoding.measure import (
    Divergence,
    StepEvidence,
    diverge,
    diverge_with_infinities,
    is_implausible,
)
from inspect_lda.decoding.nets import FLOORED, Caught
from inspect_lda.decoding.placebo import placebo
from inspect_lda.decoding.sample import draw
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.support import Support, likeliest
from inspect_lda.decoding.truncate import RANKED, truncate


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


class _Held(NamedTuple):
    """The fields of `StepEvidence` of these names."""

    lost: Tensor
    alpha: Tensor
    acted: Tensor
    dropped: Tensor


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
        mass = self.scratch.mass
        logits = self._combined(after, before)
        support = self._support(logits)
        caught = self._amplify(logits, support)
        q, held = self._reachable(logits.amplified, support, caught)
        token = self._drawn(q).unsqueeze(-1)
        ids = self._reported(token, q)
        log_q = q.log(ids, q.log_norm(token))
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
        return Step(evidence, ids, log_q, log_p_after, log_p_before)

    def _combined(self, after: Tensor, before: Tensor) -> Logits:
        settings = self.asked.settings
        if self.careful:
            return self.known.carefully(after, before, settings)
        return self.known.quickly(after, before, settings, self.scratch)

    def _support(self, logits: Logits) -> Support | None:
        if self.asked.drawable is not None:
            return Support(None, ~self.asked.drawable)
        return likeliest(logits.after, self.asked.settings, self.scratch.spare)

    def _amplify(self, logits: Logits, support: Support | None) -> Caught | None:
        """Finish the amplified logits, in place: nets, placebos, penalties and bias."""
        nets, settings = self.asked.nets, self.asked.settings
        if nets is not None:
            nets.shrink(logits, settings.temperature, support)
        if self.asked.placebos:
            self._push_elsewhere(logits, support)
        caught = None if nets is None else nets.limit(logits, support)
        self._edit(logits.amplified)
        return caught

    def _push_elsewhere(self, logits: Logits, support: Support | None) -> None:
        after = logits.after
        if support is not None:
            # Impossible ids neither give nor take: the push stays in the support.
            after = after.clone()
            support.restrict(after)
        for row, order in self.asked.placebos:
            amplified = logits.amplified[row]
            logits.amplified[row] = placebo(after[row], amplified, order)

    def _edit(self, scaled: Tensor) -> None:
        for edit in self.asked.edits:
            edit.apply(scaled)

    def _reachable(
        self, logits: Tensor, support: Support | None, caught: Caught | None
    ) -> tuple[Distribution, _Held]:
        """What is left to draw from of amplified logits, which are written to."""
        nets, alpha, spare = (
            self.asked.nets,
            self.asked.settings.alpha,
            self.scratch.spare,
        )
        lost = acted = dropped = torch.zeros_like(alpha)
        if support is not None:
            lost = support.lost(logits, spare)
            support.restrict(logits)
        if nets is not None and caught is not None:
            alpha = alpha.index_copy(0, nets.rows, caught.alpha)
            acted = acted.index_copy(0, nets.rows, caught.acted)
            if caught.floor is not None:
                dropped = caught.floor.lost(logits, spare)
                caught.floor.restrict(logits)
                acted = acted + FLOORED * (dropped > 0)
        q = self._truncated(Distribution.of(logits, self.scratch.mass))
        return q, _Held(lost, alpha, acted, dropped)

    def _drawn(self, q: Distribution) -> Tensor:
        greedy = self.asked.settings.greedy
        if self.asked.choose is not None:
            return self.asked.choose(q.probabilities(greedy))
        return draw(q.mass, q.logits, self.asked.uniforms, greedy)

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
            self._edit(edited)
            if support is not None:
                support.restrict(edited)
            whole = Distribution.of(edited, self.scratch.mass)
            norm = whole.log_norm(ids[:, :1])
        log_p = self._truncated(whole).log(ids, norm)
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
