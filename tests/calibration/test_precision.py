"""Steps and ulps, against numbers that can be told by hand."""

import pytest
import torch

from inspect_lda.calibration.precision import coarser, grid_of, on_grid, steps, ulp

BF16, F16, F32 = torch.bfloat16, torch.float16, torch.float32


def test_ulps() -> None:
    values = torch.tensor([1.0, 1.99, 2.0, -0.75, 0.0])
    expected = torch.tensor([2**-7, 2**-7, 2**-6, 2**-8, 2**-133])
    assert torch.equal(ulp(values, BF16), expected)
    assert torch.equal(ulp(values[:2], F16), torch.tensor([2**-10, 2**-10]))
    assert float(ulp(torch.tensor(1e-6), F16)) == 2**-24  # subnormal


@pytest.mark.parametrize("dtype", [BF16, F16, F32])
def test_steps_count_what_nextafter_takes(dtype: torch.dtype) -> None:
    start = torch.tensor([1.0, -1.0, 0.5, 3e-5, 0.0, -0.0]).to(dtype)
    moved = start
    for count in range(1, 4):
        moved = (
            torch.nextafter(moved.float(), torch.tensor(9.0))
            if dtype is F32
            else (_next(moved))
        )
        found = steps(start.float(), moved.float(), dtype)
        assert found.tolist() == [count] * len(start)
    assert steps(torch.tensor([-0.0]), torch.tensor([0.0]), dtype).tolist() == [0]


def _next(values: torch.Tensor) -> torch.Tensor:
    return torch.nextafter(values, torch.tensor(9.0, dtype=values.dtype))


def test_the_grid_is_what_holds_the_values() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert grid_of(values) == F32
    assert grid_of(on_grid(values, BF16)) == BF16
    assert grid_of(on_grid(values, F16)) == F16
    assert coarser(F32, F16) == F16
    assert coarser(F16, BF16) == BF16
