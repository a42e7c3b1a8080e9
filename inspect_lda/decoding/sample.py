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


def inverse_cdf(log_probs: Tensor, uniforms: Tensor) -> Tensor:
    """Draw one id a row.

    Args:
        log_probs: `[batch, V]` log-probabilities; -inf is never drawn.
        uniforms: `[batch]` float64 in [0, 1).

    Returns:
        `[batch]` ids: the first whose cumulative mass exceeds the uniform. A row of
        NaN gives some id of the vocabulary; its caller reports it.
    """
    mass = _blocks(log_probs.exp())
    # float64: a float32 running sum over 100,000 ids is off by more than the mass of
    # the rare tokens this library exists to sample.
    block_mass = mass.sum(-1, dtype=torch.float64)
    cumulative = block_mass.cumsum(-1)
    total = cumulative[:, -1:]
    wanted = uniforms.unsqueeze(-1).to(total) * total
    # u * total can round up to total, beyond the last id with mass.
    wanted = torch.minimum(wanted, torch.nextafter(total, torch.zeros_like(total)))
    block = torch.searchsorted(cumulative, wanted, right=True)
    # A row of NaN finds no block, and then no id: both stay in range.
    block = block.clamp(max=cumulative.shape[-1] - 1)
    start = cumulative.gather(-1, block) - block_mass.gather(-1, block)
    chosen = mass.gather(1, block.unsqueeze(-1).expand(-1, 1, BLOCK)).squeeze(1)
    inside = chosen.double().cumsum(-1) + start
    offset = torch.searchsorted(inside, wanted, right=True)
    # The two sums round differently: stay on the last id of the block that has mass.
    last = BLOCK - 1 - (chosen > 0).flip(-1).int().argmax(-1, keepdim=True)
    drawn = (block * BLOCK + torch.minimum(offset, last)).squeeze(-1)
    return drawn.clamp(max=log_probs.shape[-1] - 1)


def _blocks(mass: Tensor) -> Tensor:
    missing = -mass.shape[-1] % BLOCK
    padded = torch.nn.functional.pad(mass, (0, missing))
    return padded.reshape(mass.shape[0], -1, BLOCK)


def draw(log_q: Tensor, uniforms: Tensor, greedy: Tensor) -> Tensor:
    """Draw by inverse CDF; rows marked greedy take the argmax.

    Args:
        log_q: `[batch, V]`.
        uniforms: `[batch]` float64.
        greedy: `[batch]` bool.
    """
    drawn = inverse_cdf(log_q, uniforms)
    if bool(greedy.any()):
        drawn = torch.where(greedy, log_q.argmax(-1), drawn)
    return drawn
