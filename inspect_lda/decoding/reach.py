"""What can be drawn at an alpha: from combined logits to a truncated distribution."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.asked import Asked
from inspect_lda.decoding.distribution import Distribution
from inspect_lda.decoding.known import KnownIds, Logits
from inspect_lda.decoding.nets import FLOORED, Caught
from inspect_lda.decoding.placebo import placebo
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.support import Support, likeliest
from inspect_lda.decoding.truncate import RANKED, truncate


class Held(NamedTuple):
    """The fields of `StepEvidence` of these names."""

    lost: Tensor
    alpha: Tensor
    acted: Tensor
    dropped: Tensor


@dataclass(frozen=True)
class Reach:
    """The way from logits to what is drawn from; all of it in the same memory.

    Attributes:
        known: The ids of the pair.
        asked: What the rows ask for.
        scratch: Memory for as many rows.
        careful: Expect infinities and rank every id.
    """

    known: KnownIds
    asked: Asked
    scratch: Scratch
    careful: bool

    def combined(self, after: Tensor, before: Tensor) -> Logits:
        """Amplified logits, and those of both checkpoints, at the temperature."""
        settings = self.asked.settings
        if self.careful:
            return self.known.carefully(after, before, settings)
        return self.known.quickly(after, before, settings, self.scratch)

    def support(self, logits: Logits) -> Support | None:
        """The ids that the rows may draw, if that is a part of them."""
        if self.asked.drawable is not None:
            return Support(None, ~self.asked.drawable)
        return likeliest(logits.after, self.asked.settings, self.scratch.spare)

    def distribution(
        self, logits: Logits, support: Support | None
    ) -> tuple[Distribution, Held]:
        """Nets, placebos, penalties and bias, the support, truncation: in this order.

        Args:
            logits: Combined; the amplified ones are written to.
            support: What may be drawn.
        """
        caught = self._amplify(logits, support)
        return self._reachable(logits.amplified, support, caught)

    def log_at(
        self,
        raw: tuple[Tensor, Tensor],
        logits: Logits,
        support: Support | None,
        token: Tensor,
    ) -> Tensor:
        """Log-probabilities of drawn ids at the other alphas that rows ask for.

        Each is the `log q` that the row would record there, nets and truncation
        included. The logits of both checkpoints are there already, so that an alpha
        takes one combination and one softmax.

        Args:
            raw: Logits of both checkpoints as they came.
            logits: Combined of them; the amplified ones have served.
            support: What may be drawn: a matter of `after`, the same at every alpha.
            token: `[batch, 1]` ids.

        Returns:
            `[batch, others]`.
        """
        found = []
        for alpha, nets in self.asked.others:
            settings = replace(self.asked.settings, alpha=alpha)
            asked = self.asked._replace(settings=settings, nets=nets)
            there = replace(self, asked=asked)
            if self.careful:
                logits = there.combined(*raw)
            else:
                self.known.push(logits, settings)
            q, _ = there.distribution(logits, support)
            log_q = q.log(token, q.log_norm(token))
            if self.careful:
                # Where an alpha leaves nothing to draw, no rollout of it gets here.
                nothing = q.logits.amax(-1, keepdim=True).isneginf()
                log_q = log_q.masked_fill(nothing, -torch.inf)
            found.append(log_q)
        if not found:
            return token.new_empty((len(token), 0), dtype=torch.float32)
        return torch.cat(found, dim=-1)

    def edit(self, scaled: Tensor) -> None:
        """Add penalties and bias to `[batch, V]` scaled logits, in place."""
        for edit in self.asked.edits:
            edit.apply(scaled)

    def truncated(self, whole: Distribution) -> Distribution:
        """What top-k, top-p and min-p leave; masses are written to."""
        if not self.asked.settings.truncates:
            return whole
        width = self.known.width if self.careful else RANKED
        spare = self.scratch.spare
        return whole.keep(truncate(whole, self.asked.settings, spare, width), spare)

    def _amplify(self, logits: Logits, support: Support | None) -> Caught | None:
        """Finish the amplified logits, in place: nets, placebos, penalties and bias."""
        nets, settings = self.asked.nets, self.asked.settings
        if nets is not None:
            nets.shrink(logits, settings.temperature, support)
        if self.asked.placebos:
            self._push_elsewhere(logits, support)
        caught = None if nets is None else nets.limit(logits, support)
        self.edit(logits.amplified)
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

    def _reachable(
        self, logits: Tensor, support: Support | None, caught: Caught | None
    ) -> tuple[Distribution, Held]:
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
        q = self.truncated(Distribution.of(logits, self.scratch.mass))
        return q, Held(lost, alpha, acted, dropped)
