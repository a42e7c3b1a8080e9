"""A control for amplification: the same push as the pair's, given to other tokens.

What amplification adds to each logit is handed round among tokens that are about as
likely. The distribution moves about as far from `after`, but not where training points:
what still shows then is what any push of this size does to the model.
"""

import numpy as np
import torch
from torch import Tensor

STREAM = 1 << 64
"""Sets these draws apart from those of a request's tokens (`decoding.sample`), whose
key is the seed alone and lies below this."""


def placebo(after: Tensor, amplified: Tensor, order: Tensor) -> Tensor:
    """Hand round what amplification added, within bands of similarly likely tokens.

    A band holds the tokens of rank 2**k to 2**(k+1) - 1 under `after`. In every band
    each token takes from the next one, in a random order and round in a ring, so that
    none keeps its own but the most likely token, which has a band to itself. Only the
    bands decide who may give to whom: rounding among their tokens changes nothing. Ids
    that are not finite stay out, as they are. Where nothing was added (alpha = 0) the
    result is `after`, bit for bit.

    Args:
        after: `[..., V]` float32 logits of `after`.
        amplified: `[..., V]` float32 logits made of them by `amplify`.
        order: `[..., V]` a permutation of the ids, drawn at random.

    Returns:
        `[..., V]` float32 logits, not normalised.
    """
    free = after.isfinite() & amplified.isfinite()
    band = _bands(after.masked_fill(~free, -torch.inf))
    band, place = band.gather(-1, order).sort(dim=-1, stable=True)
    taker = order.gather(-1, place)
    giver = taker.gather(-1, _next(band))
    added = torch.where(free, amplified - after, 0.0)
    handed = torch.empty_like(added).scatter_(-1, taker, added.gather(-1, giver))
    return torch.where(free, after + handed, amplified)


def placebo_order(seed: int, step: int, width: int) -> Tensor:
    """The order of one step of one request: a function of these numbers alone.

    Args:
        seed: Seed of the request.
        step: How many tokens it has so far.
        width: How many ids there are.

    Returns:
        `[width]` int64 on the CPU, independent of the uniforms that draw its tokens.
    """
    philox = np.random.Philox(key=STREAM + seed, counter=[0, 0, 0, step])
    return torch.from_numpy(np.random.Generator(philox).permutation(width))


def _next(band: Tensor) -> Tensor:
    """The place after each, of places sorted by band; after the last one the first."""
    places = torch.arange(band.shape[-1], device=band.device).expand_as(band)
    first = torch.searchsorted(band, band)
    last = torch.searchsorted(band, band, right=True) - 1
    return torch.where(places == last, first, places + 1)


def _bands(logits: Tensor) -> Tensor:
    """The band of every id; ids at -inf have the last one to themselves."""
    width = logits.shape[-1]
    firsts = [2**k - 1 for k in range(1, width.bit_length()) if 2**k <= width]
    ordered = logits.sort(dim=-1, descending=True).values
    edges = torch.cat(
        [ordered[..., firsts], torch.full_like(ordered[..., :1], -torch.inf)], -1
    )
    # Edges at or above a logit; negated, since the search wants them ascending.
    return torch.searchsorted(-edges, -logits, right=True)
