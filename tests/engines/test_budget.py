"""What rows are said to cost is what they cost."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.engines.base import EngineError
from inspect_lda.engines.budget import (
    Budget,
    Extent,
    Footprint,
    cache_budget,
    measure,
)
from inspect_lda.engines.growing import GrowingLayer
from inspect_lda.engines.memory import free_memory, is_out_of_memory, readable
from inspect_lda.engines.paired import PairedLayer
from inspect_lda.engines.prefill import layers_of
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.pair import Pair
from tests.engines.tight import FullDevice

CPU = torch.device("cpu")
HEADS, WIDTH = 4, 16


@dataclass(eq=False)
class Line:
    """A row that ends after so many tokens."""

    prompt: tuple[int, ...]
    left: int

    def __post_init__(self) -> None:
        self.extent = Extent(len(self.prompt), len(self.prompt) + self.left)

    @property
    def done(self) -> bool:
        """Whether it needs no further token."""
        return self.left <= 0


class CacheAlone:
    """A decoder that computes nothing: all the memory it takes is its cache."""

    rolls = True
    device = CPU

    def __init__(self, layers: int, paired: bool) -> None:
        self._layers, self._paired = layers, paired

    def new_cache(self) -> Cache:
        """Growing layers, two of which a pair may hold as one."""
        return Cache(layers=[GrowingLayer() for _ in range(self._layers)])

    def forward(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
    ) -> tuple[Tensor, ...]:
        """Put a state a token into every layer."""
        states = ids[:, None, :, None].float().expand(-1, HEADS, -1, WIDTH)
        layers: list[Any] = cache.layers
        if self._paired:
            if not hasattr(cache, "pairs"):
                half = self._layers // 2
                halves = zip(layers[:half], layers[half:], strict=True)
                cache.pairs = [PairedLayer(*two) for two in halves]  # type: ignore[attr-defined]
            layers, states = cache.pairs, torch.cat([states, states])  # type: ignore[attr-defined]
        for layer in layers:
            layer.update(states, states)
        return (ids[:, -1:],)

    def draw(self, states: tuple[Tensor, ...], rows: list[Line]) -> list[int]:
        """One token less."""
        for row in rows:
            row.left -= 1
        return [1] * len(rows)


@pytest.mark.parametrize("layers", [4, 24])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(("prompt", "more"), [(80, 20), (12, 60)])
def test_what_is_held_never_exceeds_the_budget_nor_wastes_half_of_it(
    layers: int, paired: bool, prompt: int, more: int
) -> None:
    decoder = CacheAlone(layers, paired)
    footprint = measure(decoder)
    assert footprint.per_token == layers * 2 * HEADS * WIDTH * 4
    rows = [
        Line((index + 1,) * (prompt - index % 5), more - 3 * (index % 4))
        for index in range(16)
    ]
    total = Budget(0, footprint).needed([], [row.extent for row in rows[:5]])
    batch = RollingBatch(decoder, 16, budget=Budget(total, footprint))
    most = 0
    with FullDevice() as device:
        while rows or batch.rows:
            if count := batch.admissible(rows):
                assert batch.admit(rows[:count]) == []
                rows = rows[count:]
                batch.drop_finished()
            most = max(most, len(batch.rows))
            if batch.rows:
                assert batch.step() == []
                batch.drop_finished()
    assert 5 <= most < 16
    assert total / 2 < device.peak <= total


def test_a_full_batch_is_not_held_twice_when_a_row_leaves() -> None:
    decoder = CacheAlone(40, paired=True)
    footprint = measure(decoder)
    rows = [Line((index,) * 8, 400 - 2 * (index == 3)) for index in range(4)]
    total = Budget(0, footprint).needed([], [row.extent for row in rows])
    batch = RollingBatch(decoder, 16, budget=Budget(total, footprint))
    with FullDevice() as device:
        batch.admit(rows)
        while batch.rows:
            batch.step()
            batch.drop_finished()
    assert device.peak <= total


def test_a_footprint_is_that_of_the_real_cache(pair: Pair) -> None:
    decoder = PairDecoder(pair)
    cache = decoder.new_cache()
    ids = torch.full((3, 7), 5)
    mask = torch.ones_like(ids)
    decoder.forward(ids, mask, mask.cumsum(-1) - 1, cache)
    held = sum(
        part.numel() * part.element_size()
        for layer in layers_of(cache)
        for part in layer.states()
    )
    assert measure(decoder) == Footprint(held // 21, 0, held // 21 // 4, {CPU: 1.0})


@pytest.mark.parametrize("size", [Footprint(100, 0, 10), Footprint(100, 7000, 50)])
def test_fitting_agrees_with_what_is_needed(size: Footprint) -> None:
    budget = Budget(1, size)
    running = [Extent(5, 20), Extent(9, 30)]
    waiting = [Extent(4, 10), Extent(50, 60), Extent(1, 200), Extent(2, 3)]
    for limit in range(0, 400_000, 1_000):
        count = budget.fitting(running, waiting, limit)
        fits = [
            budget.needed(running, waiting[:n]) <= limit
            for n in range(1, len(waiting) + 1)
        ]
        assert count == (fits.index(False) if False in fits else len(fits))
        assert fits == sorted(fits, reverse=True)


def test_what_can_never_fit_is_refused_with_its_size_and_the_ways_out() -> None:
    budget = Budget(20 * 2**20, Footprint(2**17), "0.1 of the 0.1 GiB free on cpu")
    budget.check(Extent(2, 8))
    with pytest.raises(EngineError) as error:
        budget.check(Extent(20, 500))
    for part in (
        "20 tokens",
        "480 more",
        "79.5 MiB",
        "20.0 MiB",
        "0.1 of the",
        "-M memory_fraction=",
        "max_tokens",
        "-M dtype=",
    ):
        assert part in str(error.value)


def test_a_budget_is_a_share_of_what_is_free(pair: Pair) -> None:
    half = cache_budget(PairDecoder(pair), 0.5)
    # Other processes take and free memory meanwhile.
    assert half.total == pytest.approx(free_memory(CPU) / 2, rel=0.2)
    assert cache_budget(PairDecoder(pair), 0.05).total < half.total / 5
    assert "0.5 of the" in half.source
    assert "cpu" in half.source


V2 = ("", "memory.max", "memory.current", "inactive_file 100\nfile 300\n")
V1 = (
    "memory/",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "cache 300\ntotal_inactive_file 100\n",
)


@pytest.mark.parametrize(("folder", "limit", "usage", "stat"), [V1, V2])
def test_a_container_s_limit_counts(
    folder: str, limit: str, usage: str, stat: str, tmp_path: Path
) -> None:
    machine = free_memory(CPU, tmp_path)
    home = tmp_path / folder
    home.mkdir(exist_ok=True)
    (home / usage).write_text("600\n", encoding="utf-8")
    (home / "memory.stat").write_text(stat, encoding="utf-8")
    (home / limit).write_text("5000\n", encoding="utf-8")
    assert free_memory(CPU, tmp_path) == 4500
    (home / limit).write_text("max\n", encoding="utf-8")
    assert free_memory(CPU, tmp_path) == pytest.approx(machine, rel=0.2)


def allocate() -> None:
    torch.empty(1 << 50)


def full() -> None:
    with FullDevice(capacity=10):
        torch.zeros(100)


def wrong_shape() -> None:
    torch.zeros(2) + torch.zeros(3)


@pytest.mark.parametrize(
    ("fails", "expected"), [(allocate, True), (full, True), (wrong_shape, False)]
)
def test_out_of_memory_is_told_from_other_errors(
    fails: Callable[[], None], expected: bool
) -> None:
    with pytest.raises(RuntimeError) as error:
        fails()
    assert is_out_of_memory(error.value) is expected
    assert is_out_of_memory(MemoryError())


def test_sizes_are_readable() -> None:
    sizes = [readable(n) for n in (0, 1023, 1024, 3.5 * 2**20, 2**30, 2**42)]
    assert sizes == ["0 B", "1023 B", "1.0 KiB", "3.5 MiB", "1.0 GiB", "4096.0 GiB"]
