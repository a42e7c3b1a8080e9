"""One decoding step of a batch: from the logits of both checkpoints to the evidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

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
from inspect_lda.decoding.support import Support, likeliest
from inspect_lda.decoding.truncate import RANKED, truncate

Choose: TypeAlias = Callable[[Tensor], Tensor]
"""Picks the ids `[batch]` of a step, given the chance of every id to be drawn (`[batch,
V]` float64, 0 for dropped ids, a sum of 1). A row may be NaN; any id will do there."""


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
    """

    settings: Settings
    edits: Sequence[Edit]
    uniforms: Tensor
    top: int
    placebos: Sequence[tuple[int, Tensor]] = ()
    drawable: Tensor | None = None
    choose: Choose | None = None


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
        mass = self.scratch.mass
        logits = self._combined(after, before)
        support = self._support(logits)
        self._push_elsewhere(logits, support)
        self._edit(logits.amplified)
        lost = None if support is None else support.lost(logits.amplified)
        q = self._truncated(self._restricted(logits.amplified, support))
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
        tail = None if support is None else support.tail(whole.mass)
        log_p_after = self._log_sampled(whole, norm, ids, support)
        nothing = torch.zeros_like(log_p_plain)
        evidence = StepEvidence(
            log_q=log_q[:, :1],
            log_p_after=log_p_after[:, :1],
            log_p_before=log_p_before[:, :1],
            log_p_plain=log_p_plain,
            entropy_after=apart.entropy,
            kl=apart.kl,
            implausible=implausible,
            only_after=apart.only_after,
            tail=nothing if tail is None else tail,
            lost=nothing if lost is None else lost,
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

    def _push_elsewhere(self, logits: Logits, support: Support | None) -> None:
        if not self.asked.placebos:
            return
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

    def _restricted(self, logits: Tensor, support: Support | None) -> Distribution:
        if support is not None:
            support.restrict(logits)
        return Distribution.of(logits, self.scratch.mass)

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
            whole = self._restricted(edited, support)
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
