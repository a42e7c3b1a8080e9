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


class UniformStream:
    """The uniforms in [0, 1) of one request, one a token, fixed by its seed alone."""

    _BLOCK = 64

    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.Philox(key=seed))
        self._block: list[float] = []

    def next(self) -> float:
        """Return the uniform of the next token."""
        if not self._block:
            self._block = self._generator.random(self._BLOCK).tolist()[::-1]
        return self._block.pop()


def inverse_cdf(p: Tensor, uniforms: Tensor) -> Tensor:
    """Draw one id a row.

    Args:
        p: `[batch, V]` probabilities (or any masses); 0 is never drawn.
        uniforms: `[batch]` float64 in [0, 1).

    Returns:
        `[batch]` ids: the first whose cumulative mass exceeds the uniform. A row of
        NaN gives some id of the vocabulary; its caller reports it.
    """
    mass = _blocks(p)
    # The sums of blocks may round: a block's chance is then off by 1e-7 of itself.
    # Inside the block the sums are float64 and the uniform is rescaled to it, so that
    # an id of 1e-9 beside one of 0.9 keeps its share, which no float32 running sum
    # over the vocabulary would give it.
    block_mass = mass.sum(-1).double()
    cumulative = block_mass.cumsum(-1)
    wanted = uniforms.unsqueeze(-1).to(cumulative) * cumulative[:, -1:]
    block = torch.searchsorted(cumulative, wanted, right=True)
    # u * total can round up to total, beyond the last block with mass; and a row of
    # NaN finds no block at all.
    block = torch.minimum(block, _last_with_mass(block_mass))
    here = block_mass.gather(-1, block)
    share = (wanted - (cumulative.gather(-1, block) - here)) / here
    chosen = mass.gather(1, block.unsqueeze(-1).expand(-1, 1, BLOCK)).squeeze(1)
    inside = chosen.double().cumsum(-1)
    offset = torch.searchsorted(inside, share * inside[:, -1:], right=True)
    drawn = block * BLOCK + torch.minimum(offset, _last_with_mass(chosen))
    return drawn.squeeze(-1).clamp(max=p.shape[-1] - 1)


def _last_with_mass(mass: Tensor) -> Tensor:
    width = mass.shape[-1]
    return width - 1 - (mass > 0).flip(-1).int().argmax(-1, keepdim=True)


def _blocks(mass: Tensor) -> Tensor:
    missing = -mass.shape[-1] % BLOCK
    padded = torch.nn.functional.pad(mass, (0, missing))
    return padded.reshape(mass.shape[0], -1, BLOCK)


def draw(p: Tensor, logits: Tensor, uniforms: Tensor, greedy: Tensor | None) -> Tensor:
    """Draw by inverse CDF; rows marked greedy take the argmax.

    Args:
        p: `[batch, V]` probabilities.
        logits: `[batch, V]` that they come from: two may be one probability apart in
            rounding.
        uniforms: `[batch]` float64.
        greedy: `[batch]` bool, or None where no row is greedy.
    """
    drawn = inverse_cdf(p, uniforms)
    if greedy is not None:
        drawn = torch.where(greedy, logits.argmax(-1), drawn)
    return drawn
