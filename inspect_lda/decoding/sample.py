"""Drawing a token: one uniform a token and the inverse CDF.

A request's uniforms come from its own counter-based stream (Philox; Salmon et al.,
"Parallel random numbers: as easy as 1, 2, 3", SC 2011), so its text does not depend
on which other requests share its batch. One uniform and a cumulative sum are also an
order of magnitude cheaper than `torch.multinomial` on a large vocabulary.
"""

import numpy as np
import torch
from torch import Tensor

BLOCK = 256
"""Ids are summed in blocks, and only the block that is hit is searched."""
BELOW_ONE = 1 - 2**-53
"""The largest float64 below 1."""


class UniformStream:
    """The uniforms in [0, 1) of one request, one a token, fixed by its seed alone."""

    _BLOCK = 64
    _LANES = 4
    """Numbers that Philox makes of one count."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._block = -1
        self._values: list[float] = []
        self._taken = 0

    def next(self) -> float:
        """Return the uniform of the next token."""
        self._taken += 1
        return self.at(self._taken - 1)

    def at(self, token: int) -> float:
        """Return the uniform of a token, 0 being the first."""
        block, place = divmod(token, self._BLOCK)
        if block != self._block:
            philox = np.random.Philox(key=self._seed)
            philox.advance(block * self._BLOCK // self._LANES)
            self._values = np.random.Generator(philox).random(self._BLOCK).tolist()
            self._block = block
        return self._values[place]


def inverse_cdf(p: Tensor, uniforms: Tensor) -> Tensor:
    """Draw one id a row.

    Args:
        p: `[batch, V]` probabilities (or any masses); 0 is never drawn.
        uniforms: `[batch]` float64 in [0, 1).

    Returns:
        `[batch]` ids: the first whose cumulative mass exceeds the uniform. A row of
        NaN gives some id of the vocabulary; its caller reports it.
    """
    # The sums of blocks may round: a block's chance is then off by 1e-7 of itself.
    # Inside the block the sums are float64 and the uniform is rescaled to it, so that
    # an id of 1e-9 beside one of 0.9 keeps its share, which no float32 running sum
    # over the vocabulary would give it.
    block_mass = _block_mass(p)
    cumulative = block_mass.cumsum(-1, dtype=torch.float64)
    wanted = uniforms.unsqueeze(-1) * cumulative[:, -1:]
    block = _first_above(cumulative, wanted)
    beyond = cumulative.gather(-1, block) - wanted
    share = (1 - beyond / block_mass.gather(-1, block)).clamp(0, BELOW_ONE)
    chosen = _block(p, block)
    inside = chosen.cumsum(-1, dtype=torch.float64)
    drawn = block * BLOCK + _first_above(inside, share * inside[:, -1:])
    return drawn.squeeze(-1).clamp(max=p.shape[-1] - 1)


def _first_above(cumulative: Tensor, wanted: Tensor) -> Tensor:
    # Never beyond the last column with mass: a float64 below 1 times the total rounds
    # to less than the total. Only in a row of NaN no column is found.
    found = torch.searchsorted(cumulative, wanted, right=True)
    return found.clamp(max=cumulative.shape[-1] - 1)


def _block(p: Tensor, block: Tensor) -> Tensor:
    """The masses `[batch, BLOCK]` of one block a row."""
    ids = block * BLOCK + torch.arange(BLOCK, device=p.device)
    if p.shape[-1] % BLOCK == 0:
        return p.gather(-1, ids)
    last = p.shape[-1] - 1
    return p.gather(-1, ids.clamp(max=last)) * (ids <= last)


def _block_mass(p: Tensor) -> Tensor:
    # Views of whole blocks: padding the vocabulary to a multiple would copy it.
    whole = p.shape[-1] // BLOCK * BLOCK
    sums = p[:, :whole].view(len(p), whole // BLOCK, BLOCK).sum(-1)
    if whole == p.shape[-1]:
        return sums
    return torch.cat([sums, p[:, whole:].sum(-1, keepdim=True)], dim=-1)


def draw(p: Tensor, logits: Tensor, uniforms: Tensor, greedy: Tensor | None) -> Tensor:
    """Draw by inverse CDF; rows marked greedy take the argmax.

    Args:
        p: `[batch, V]` probabilities (or any masses).
        logits: `[batch, V]` that they come from: two may be one probability apart in
            rounding.
        uniforms: `[batch]` float64.
        greedy: `[batch]` bool, or None where no row is greedy.
    """
    drawn = inverse_cdf(p, uniforms)
    if greedy is not None:
        drawn = torch.where(greedy, logits.argmax(-1), drawn)
    return drawn
