"""Layers in static memory show what plain layers hold."""

from typing import Any

import pytest
import torch
from transformers.cache_utils import Cache, DynamicLayer

from inspect_lda.engines.block import Block
from inspect_lda.engines.static import Memory, RowsLayer

CPU = torch.device("cpu")


def states(rows: int, n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 2, n, 4, generator=generator)


def filled(kind: Any, rows: int, n: int, seed: int = 0) -> Any:
    layer = kind()
    layer.update(states(rows, n, seed), states(rows, n, seed + 100))
    return layer


def cache_of(*layers: Any) -> Cache:
    return Cache(layers=list(layers))


def block_for(cache: Cache, rows: int, columns: int, joint: bool = False) -> Block:
    indices = range(len(cache.layers))
    groups = [tuple(indices)] if joint else [(index,) for index in indices]
    return Block(rows, columns, groups, cache, CPU)


def step(block: Block, ids: torch.Tensor, column: int) -> dict[str, torch.Tensor]:
    return block.inputs(ids, torch.full_like(ids, column), column)


def test_a_row_layer_is_a_plain_layer_until_it_lies_somewhere() -> None:
    ours, theirs = filled(RowsLayer, 3, 5), filled(DynamicLayer, 3, 5)
    for layer in (ours, theirs):
        layer.keys = layer.keys[1:, :, 2:]
        layer.values = layer.values[1:, :, 2:]
        layer.update(states(2, 2, 7), states(2, 2, 8))
    assert torch.equal(ours.keys, theirs.keys)
    assert torch.equal(ours.values, theirs.values)
    assert ours.get_seq_length() == theirs.get_seq_length() == 5


def test_into_a_block_a_step_and_out_again() -> None:
    ours, theirs = filled(RowsLayer, 3, 5), filled(DynamicLayer, 3, 5)
    cache, memory = cache_of(ours), Memory()
    block = block_for(cache, 4, 8)
    corner = block.take(cache, torch.ones(3, 6), memory)
    assert torch.equal(ours.keys, theirs.keys)
    step(block, torch.ones(3, 1, dtype=torch.long), 5)
    keys, values = states(4, 1, 1), states(4, 1, 2)
    block.cache.update(keys, values, 0)
    corner.columns += 1
    theirs.update(keys[:3], values[:3])
    assert torch.equal(ours.keys, theirs.keys)
    assert torch.equal(ours.values, theirs.values)
    assert ours.keys.data_ptr() == block.cache.layers[0].keys.data_ptr()  # type: ignore[union-attr]
    for layer in (ours, theirs):
        layer.update(states(3, 2, 3), states(3, 2, 4))
    assert ours.corner is None
    assert torch.equal(ours.keys, theirs.keys)
    assert torch.equal(ours.values, theirs.values)


@pytest.mark.parametrize("name", ["keys", "values"])
def test_assigning_either_takes_both_out(name: str) -> None:
    layer = filled(RowsLayer, 3, 5)
    cache = cache_of(layer)
    block_for(cache, 4, 8).take(cache, torch.ones(3, 6), Memory())
    other = "values" if name == "keys" else "keys"
    left = getattr(layer, other).clone()
    setattr(layer, name, states(2, 5, 9))
    assert layer.corner is None
    assert torch.equal(getattr(layer, name), states(2, 5, 9))
    assert torch.equal(getattr(layer, other), left)


def test_moving_out() -> None:
    layer = filled(RowsLayer, 3, 5)
    expected = (layer.keys.clone(), layer.values.clone())
    cache = cache_of(layer)
    block = block_for(cache, 4, 8)
    layer.move_out()
    block.take(cache, torch.ones(3, 6), Memory())
    layer.move_out()
    block.cache.layers[0].keys.zero_()  # type: ignore[union-attr]
    assert layer.corner is None
    assert torch.equal(layer.keys, expected[0])
    assert torch.equal(layer.values, expected[1])


@pytest.mark.parametrize("joint", [False, True])
def test_from_shape_to_shape_in_the_same_memory(joint: bool) -> None:
    layers = [filled(RowsLayer, 3, 5, seed) for seed in (0, 50)]
    expected = [(layer.keys.clone(), layer.values.clone()) for layer in layers]
    cache, memory = cache_of(*layers), Memory()
    for rows, columns in ((4, 8), (3, 6), (4, 7), (8, 16), (4, 8)):
        block = block_for(cache, rows, columns, joint)
        block.take(cache, torch.ones(3, 6), memory)
        for layer, (keys, values) in zip(layers, expected, strict=True):
            assert torch.equal(layer.keys, keys)
            assert torch.equal(layer.values, values)
    held = {layer.keys.untyped_storage().data_ptr() for layer in layers}
    assert len(held) == (1 if joint else 2)


def test_what_others_left_is_gone() -> None:
    memory, poisoned = Memory(), filled(RowsLayer, 4, 8)
    poisoned.keys[:] = torch.nan
    cache = cache_of(poisoned)
    block = block_for(cache, 4, 8)
    block.take(cache, torch.ones(4, 8), memory)
    cache = cache_of(filled(RowsLayer, 2, 3))
    block.take(cache, torch.ones(2, 4), memory)
    held: Any = block.cache.layers[0]
    assert held.keys.isfinite().all()
    assert (held.keys[2:] == 0).all()
    assert (held.keys[:, :, 3:] == 0).all()


def test_inputs_of_a_step() -> None:
    cache = cache_of(filled(RowsLayer, 2, 3))
    block = block_for(cache, 3, 6)
    block.take(cache, torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]]), Memory())
    inputs = step(block, torch.tensor([[7], [8]]), 3)
    assert inputs["input_ids"].tolist() == [[7], [8], [0]]
    assert inputs["position_ids"].tolist() == [[3], [3], [0]]
    assert inputs["attention_mask"].int().tolist() == [
        [0, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [0, 0, 0, 1, 0, 0],
    ]
    assert int(block.cache.get_seq_length()) == 3
    assert block.cache.get_mask_sizes(1, 0) == (6, 0)
    assert block.cache.is_compileable
