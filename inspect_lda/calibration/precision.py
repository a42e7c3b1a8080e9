"""Floating-point grids: which numbers a dtype holds, and how far apart they are."""

import torch
from torch import Tensor

HALVES = (torch.bfloat16, torch.float16)
GRIDS = (*HALVES, torch.float32)
"""From coarse to fine, for weights of ordinary size."""

_INTEGERS = {
    torch.bfloat16: (torch.int16, 0x7FFF),
    torch.float16: (torch.int16, 0x7FFF),
    torch.float32: (torch.int32, 0x7FFFFFFF),
}


def on_grid(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values rounded to a dtype, float32."""
    return values.to(dtype).float()


def grid_of(values: Tensor) -> torch.dtype:
    """The coarsest dtype that holds all of these float32 values exactly.

    A file may say float32 and hold what was rounded to bfloat16 before.
    """
    for dtype in HALVES:
        if torch.equal(on_grid(values, dtype), values):
            return dtype
    return torch.float32


def coarser(left: torch.dtype, right: torch.dtype) -> torch.dtype:
    """The coarser of two grids."""
    return min(left, right, key=GRIDS.index)


def ulp(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The distance from each value to its next larger neighbour in a dtype, float32."""
    info = torch.finfo(dtype)
    exponent = torch.frexp(values).exponent - 1
    spacing = info.eps * torch.exp2(exponent.float())
    least = info.smallest_normal * info.eps
    return torch.where(values == 0, least, spacing.clamp(min=least))


def steps(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """How many numbers of a dtype two float32 tensors lie apart, once rounded to it."""
    return (_ordered(left, dtype) - _ordered(right, dtype)).abs()


def name_of(dtype: torch.dtype) -> str:
    """A dtype as users write it."""
    return str(dtype).removeprefix("torch.")


def _ordered(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Whole numbers in the order of the values, one apart for neighbours."""
    integer, magnitude = _INTEGERS[dtype]
    bits = values.to(dtype).view(integer).long()
    return torch.where(bits < 0, -(bits & magnitude), bits)
