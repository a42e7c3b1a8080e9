"""The growing layer holds what a concatenating one holds."""

import torch
from transformers.cache_utils import DynamicLayer

from inspect_lda.engines.growing import HEADROOM, GrowingLayer


def states(n: int, seed: int, rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, 2, n, 4, generator=torch.Generator().manual_seed(seed))


def test_equal_to_concatenation_through_growth_and_changes_of_rows() -> None:
    ours, theirs = GrowingLayer(), DynamicLayer()
    sizes = [7, *[1] * (2 * HEADROOM + 3), 5, 1]
    rows = 3
    for step, size in enumerate(sizes):
        key, value = states(size, step, rows), states(size, 1000 + step, rows)
        for layer in (ours, theirs):
            layer.update(key, value)
        if step in (4, 40):
            kept = torch.tensor([2, 0] if step == 4 else [1])
            for layer in (ours, theirs):
                assert layer.keys is not None
                assert layer.values is not None
                layer.keys = layer.keys[kept, :, 1:]
                layer.values = layer.values[kept, :, 1:]
            rows = len(kept)
        assert torch.equal(torch.as_tensor(ours.keys), torch.as_tensor(theirs.keys))
        assert torch.equal(torch.as_tensor(ours.values), torch.as_tensor(theirs.values))
        assert ours.get_seq_length() == theirs.get_seq_length()


def test_no_copy_within_the_headroom() -> None:
    layer = GrowingLayer()
    layer.update(states(4, 0), states(4, 1))
    first = torch.as_tensor(layer.keys).data_ptr()
    for step in range(HEADROOM):
        layer.update(states(1, step), states(1, step))
        assert torch.as_tensor(layer.keys).data_ptr() == first


def test_columns_cut_off_in_front_are_noticed() -> None:
    layer = GrowingLayer()
    layer.update(states(6, 0), states(6, 1))
    assert layer.keys is not None
    assert layer.values is not None
    expected = torch.cat([layer.keys[:, :, 2:], states(1, 2)], dim=-2)
    layer.keys, layer.values = layer.keys[:, :, 2:], layer.values[:, :, 2:]
    layer.update(states(1, 2), states(1, 3))
    assert torch.equal(torch.as_tensor(layer.keys), expected)
