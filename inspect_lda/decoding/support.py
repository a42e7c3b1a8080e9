"""A part of the vocabulary to draw from: the ids most likely under `after` alone.

Endpoints tell the log-probabilities of few ids. Drawing from the k ids that `after`
finds most likely, and from no other, is what such an endpoint allows, and here it is
the same rule for every engine. The k are those of the raw logits, as top-k keeps them
(with all that are as likely as the last), so they are a function of the prefix alone:
not of alpha, penalties or what was drawn.

What amplification would have given to the other ids is lost, and counted.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.batch import Settings
from inspect_lda.decoding.truncate import largest


class Support(NamedTuple):
    """The ids that some rows of a batch may not draw.

    Attributes:
        rows: `[n]` places of these rows in the batch; None if it is all of them.
        outside: `[n, V]` bool, the ids they may not draw.
    """

    rows: Tensor | None
    outside: Tensor

    def restrict(self, logits: Tensor) -> None:
        """Make the ids outside impossible in `[batch, V]` logits, in place."""
        if self.rows is None:
            logits.masked_fill_(self.outside, -torch.inf)
        else:
            logits[self.rows] = self._of(logits).masked_fill(self.outside, -torch.inf)

    def lost(self, logits: Tensor, spare: Tensor) -> Tensor:
        """Probability outside of `[batch, V]` logits, `[batch, 1]`; 0 in other rows.

        Args:
            logits: At the temperature.
            spare: `[batch, V]` float32 memory to work in.
        """
        memory = spare[: len(self.outside)]
        mass = torch.softmax(self._of(logits), dim=-1, out=memory)
        return self._spread(mass, spare)

    def tail(self, mass: Tensor, spare: Tensor) -> Tensor:
        """The same of `[batch, V]` probabilities."""
        return self._spread(self._of(mass), spare)

    def _of(self, batch: Tensor) -> Tensor:
        return batch if self.rows is None else batch[self.rows]

    def _spread(self, mass: Tensor, spare: Tensor) -> Tensor:
        nothing, memory = mass.new_zeros(()), spare[: len(mass)]
        outside = torch.where(self.outside, mass, nothing, out=memory)
        outside = outside.sum(-1, keepdim=True)
        if self.rows is None:
            return outside
        everyone = torch.zeros(len(spare), 1, device=mass.device)
        return everyone.index_copy_(0, self.rows, outside)


def likeliest(after: Tensor, settings: Settings, spare: Tensor) -> Support | None:
    """The support of the rows that have one.

    Args:
        after: `[batch, V]` logits of `after`, at any temperature.
        settings: Of the rows.
        spare: `[batch, V]` float32 memory to work in.

    Returns:
        None if no row has a support.
    """
    rows = settings.supported
    if rows is None:
        return None
    width = min(settings.widest, after.shape[-1])
    top = largest(after, rows, width, spare)
    cut = top.gather(-1, settings.support.clamp(max=width) - 1)
    if len(rows) == len(after):
        return Support(None, after < cut)
    return Support(rows, after[rows] < cut)
