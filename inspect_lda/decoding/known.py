"""The ids that a pair can draw and compare, and its logits over them."""

from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify, known_logits
from inspect_lda.decoding.batch import Settings
from inspect_lda.decoding.distribution import Distribution
from inspect_lda.decoding.scratch import Scratch


class Logits(NamedTuple):
    """`[batch, V]` float32 each, divided by the temperatures.

    -inf for ids that a checkpoint does not know.

    Attributes:
        apart: `[batch, 1]`, by how much the logarithms of the checkpoints' sums differ,
            after less before, at temperature 1; None where nobody has to know.
    """

    after: Tensor
    before: Tensor
    amplified: Tensor
    apart: Tensor | None = None


class KnownIds:
    """What the tokenizers of a pair have in common.

    Args:
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.

    Attributes:
        width: Ids below this can be drawn, apart from those that are not allowed.
        barred: Ids below `width` that are not allowed; None if there are none.
        unshared: Ids below `width` that are not shared; None if there are none.
        added: How many ids only `after` knows.
    """

    def __init__(self, allowed: Tensor, shared: Tensor) -> None:
        # Padding of an embedding table stands at its end: cutting it off is free,
        # where a mask is a pass over every logit.
        self.width = int(allowed.nonzero().max()) + 1
        self._allowed = allowed[: self.width]
        self._shared = shared[: self.width]
        self.barred = _ids(~self._allowed)
        self.unshared = _ids(~self._shared)
        self.added = int((self._allowed & ~self._shared).sum())

    def carefully(self, after: Tensor, before: Tensor, settings: Settings) -> Logits:
        """Amplify as `amplify` defines it, infinities included.

        Args:
            after: `[batch, V]` logits of `after`.
            before: `[batch, V_before]` logits of `before`.
            settings: Of the rows.
        """
        allowed = None if self.barred is None else self._allowed
        shared = None if self.unshared is None else self._shared
        after = known_logits(after, allowed, self.width)
        before = known_logits(before, shared, self.width)
        amplified = amplify(after, before, settings.alpha, shared=shared)
        return Logits(*map(settings.scale, (after, before, amplified)))

    def quickly(
        self, after: Tensor, before: Tensor, settings: Settings, scratch: Scratch
    ) -> Logits:
        """Amplify in a few passes; rows with infinities of their own become NaN.

        Args:
            after: `[batch, V]` logits of `after`; not written to.
            before: `[batch, V_before]` logits of `before`; not written to.
            settings: Of the rows.
            scratch: Where the result is, unless a tensor serves as it is.
        """
        after = _fitted(after, self.barred, scratch.after)
        before = _fitted(before, self.unshared, scratch.before)
        apart = None
        if self.unshared is not None:
            apart = _apart(after, before, scratch.mass)
        # Each checkpoint's logits are needed at the temperature too. To scale them
        # first, and not what comes of them, saves a pass.
        after = settings.scale(after, out=scratch.after)
        before = settings.scale(before, out=scratch.before)
        logits = Logits(after, before, scratch.amplified, apart)
        self.push(logits, settings)
        return logits

    def push(self, logits: Logits, settings: Settings) -> None:
        """Amplify logits that `quickly` made, at these alphas, in place."""
        after, before, amplified, apart = logits
        torch.lerp(before, after, 1 + settings.alpha, out=amplified)
        if self.unshared is None or apart is None:
            return
        # The difference of these ids is 0 in log-probability space. The others are
        # combined as raw logits, which moves all of a row by what is added here.
        moved = settings.scale(settings.alpha * apart)
        added = after[:, self.unshared] + moved
        amplified[:, self.unshared] = added.masked_fill(
            settings.alpha == -1, -torch.inf
        )


def _apart(after: Tensor, before: Tensor, mass: Tensor) -> Tensor:
    norms = []
    for logits in (after, before):
        whole = Distribution.of(logits, mass)
        norms.append(whole.log_norm(logits.argmax(-1, keepdim=True)))
    return norms[0] - norms[1]


def _ids(mask: Tensor) -> Tensor | None:
    return mask.nonzero().squeeze(-1) if bool(mask.any()) else None


def _fitted(logits: Tensor, unknown: Tensor | None, memory: Tensor) -> Tensor:
    width = memory.shape[-1]
    fits = logits.shape[-1] == width and logits.dtype == torch.float32
    if fits and unknown is None and logits.is_contiguous():
        return logits
    present = logits[:, :width]
    memory[:, : present.shape[-1]] = present
    memory[:, present.shape[-1] :] = -torch.inf
    if unknown is not None:
        memory[:, unknown] = -torch.inf
    return memory
