"""Drawing a token from a step's distribution: by itself, or starting from a draft.

A drafted token x comes from p. It is kept with probability min(1, q(x) / p(x)); else
the token is drawn from max(q - p, 0), normalised. What comes out is distributed as q,
whatever p is. (Leviathan et al., "Fast Inference from Transformers via Speculative
Decoding", ICML 2023; Chen et al., 2023.)
"""

import torch
from torch import Tensor

from inspect_lda.decoding.sample import inverse_cdf


class Plain:
    """Draws by inverse CDF.

    Args:
        uniform: In [0, 1).

    Attributes:
        chances: `[n]` float64, what the columns' chances were when it was asked.
    """

    def __init__(self, uniform: float) -> None:
        self._uniform = torch.tensor([uniform], dtype=torch.float64)
        self.chances = torch.empty(0)

    def __call__(self, chances: Tensor) -> Tensor:
        """Draw a column `[1]`, given the chances `[1, n]` of all."""
        self.chances = chances[0]
        return inverse_cdf(chances, self._uniform)


class Coupled(Plain):
    """Keeps a drafted token, or draws what takes its place.

    Args:
        proposed: Its column; None if it has none, and can not be kept.
        proposal: `[columns]` float64, the chances it was drafted with; may be shorter
            than those of the step, whose further columns were never drafted.
        accepts: Uniform that decides whether it is kept.
        uniform: Draws what takes its place.

    Attributes:
        accepted: Whether it was kept.
    """

    def __init__(
        self, proposed: int | None, proposal: Tensor, accepts: float, uniform: float
    ) -> None:
        super().__init__(uniform)
        self._proposed = proposed
        self._proposal = proposal
        self._accepts = accepts
        self.accepted = False

    def __call__(self, chances: Tensor) -> Tensor:
        """Decide; `chances` are `[1, n]`."""
        self.chances = chances[0]
        x = self._proposed
        self.accepted = x is not None and self._accepts * float(
            self._proposal[x]
        ) < float(chances[0, x])
        if x is not None and self.accepted:
            return torch.tensor([x])
        left = chances.clone()
        left[0, : len(self._proposal)] -= self._proposal
        left.clamp_(min=0)
        # Where rounding leaves nothing, p equals q.
        return inverse_cdf(left if bool(left.any()) else chances, self._uniform)


def overlap(chances: Tensor, proposal: Tensor) -> float:
    """How likely a draft from `proposal` is kept: the sum of min(p, q)."""
    kept = torch.minimum(chances[: len(proposal)], proposal)
    return float(kept.sum())
