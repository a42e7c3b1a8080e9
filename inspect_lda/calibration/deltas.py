"""How the weights of two checkpoints differ, without running either.

A small difference stored in half precision is mostly gone: most weights of a tensor are
still `before`'s, and the others moved by the smallest step there is.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inspect_lda.calibration.document import Deltas, Erased
from inspect_lda.calibration.precision import (
    HALVES,
    coarser,
    grid_of,
    name_of,
    on_grid,
    steps,
    ulp,
)
from inspect_lda.calibration.stored import Loaded, Weight

CHUNK = 1 << 22
"""Weights that are compared at a time."""
BINS_AN_OCTAVE, OCTAVES = 8, 48
"""Of the histogram of sizes: from 2^-24 to 2^24 steps, to 9 %."""
QUANTILES = (0.1, 0.5, 0.9)

Weights = Mapping[str, Weight]


@dataclass
class Tally:
    """Counts of all tensors so far; `result.Deltas` says what they mean."""

    tensors: int = 0
    changed_tensors: int = 0
    weights: int = 0
    touched: int = 0
    changed: int = 0
    rounded: int = 0
    equal: int = 0
    one_step: int = 0
    erased: Counter[str] = field(default_factory=Counter)
    grids: Counter[torch.dtype] = field(default_factory=Counter)
    sizes: Tensor = field(
        default_factory=lambda: torch.zeros(BINS_AN_OCTAVE * OCTAVES, dtype=torch.long)
    )

    def add(self, ours: Weight, theirs: Weight, grid: torch.dtype | None) -> None:
        """Count one tensor of `after` and of `before`."""
        self.tensors += 1
        self.weights += ours.base.numel()
        if _same(ours, theirs):
            return
        after, before = ours.values, theirs.values
        # Of one base, the difference of what was added: the sum would round it.
        delta = after - before
        if ours.base.data_ptr() == theirs.base.data_ptr():
            nothing = torch.zeros(1, device=delta.device)
            added = (
                nothing if w.delta is None else w.delta.float() for w in (ours, theirs)
            )
            delta = torch.sub(*added).expand_as(delta)
        if not bool(delta.any()):
            return
        merged = grid is not None
        grid = grid or coarser(grid_of(after), grid_of(before))
        parts = [*_parts(after, before, delta)]
        equal = sum(int((steps(a, b, grid) == 0).sum()) for a, b, _ in parts)
        if equal == delta.numel() and not merged:
            # One side was rounded, and nothing else happened to this tensor.
            self.rounded += int((delta != 0).sum())
            return
        self.changed_tensors += 1
        self.touched += delta.numel()
        self.equal += equal
        self.grids[grid] += delta.numel()
        for part in parts:
            self._add_part(part, grid)

    def _add_part(self, part: tuple[Tensor, ...], grid: torch.dtype) -> None:
        after, before, delta = part
        changed = delta != 0
        self.changed += int(changed.sum())
        self.one_step += int((steps(after, before, grid) == 1).sum())
        for dtype in HALVES:
            lost = changed & (on_grid(after, dtype) == on_grid(before, dtype))
            self.erased[name_of(dtype)] += int(lost.sum())
        sizes = delta[changed].abs() / ulp(before[changed], grid)
        bins = ((sizes.log2() + OCTAVES / 2) * BINS_AN_OCTAVE).floor().long()
        bins = bins.clamp(0, len(self.sizes) - 1)
        self.sizes += torch.bincount(bins.cpu(), minlength=len(self.sizes))

    def quantiles(self) -> tuple[float, float, float] | None:
        """Quantiles of the sizes of the changes, in steps."""
        if not self.changed:
            return None
        share = self.sizes.cumsum(0) / self.sizes.sum()
        low, middle, high = (
            2 ** ((int((share < q).sum()) + 0.5) / BINS_AN_OCTAVE - OCTAVES / 2)
            for q in QUANTILES
        )
        return low, middle, high


def compare(
    source: str, after: Weights, before: Weights, notes: tuple[str, ...] = ()
) -> Deltas:
    """Compare all floating-point tensors that both checkpoints have.

    Args:
        source: "files", "loaded weights" or "adapter". An adapter's additions are
            measured in steps of bfloat16, others in those of the stored values.
        after: Weights of `after`.
        before: Weights of `before`.
        notes: What is not in them.
    """
    tally = Tally()
    grid = torch.bfloat16 if source == "adapter" else None
    odd = [name for name in after if name not in before]
    odd += [name for name in before if name not in after]
    for name in after:
        if name not in before:
            continue
        ours, theirs = after[name], before[name]
        floats = ours.base.is_floating_point() and theirs.base.is_floating_point()
        if not floats or ours.base.shape != theirs.base.shape:
            odd.append(name)
            continue
        tally.add(ours, theirs, grid)
    if odd:
        notes += (f"{len(odd)} tensors have no counterpart, e.g. {odd[0]}",)
    return Deltas(
        source=source,
        tensors=tally.tensors,
        changed_tensors=tally.changed_tensors,
        weights=tally.weights,
        touched_weights=tally.touched,
        changed_weights=tally.changed,
        rounded_weights=tally.rounded,
        grid=name_of(
            max(tally.grids, key=lambda one: tally.grids[one], default=torch.float32)
        ),
        ulps=tally.quantiles(),
        equal_on_grid=tally.equal,
        one_step=tally.one_step,
        erased=tuple(Erased(dtype=k, weights=v) for k, v in tally.erased.items()),
        notes=notes,
    )


def erased_of_adapter(merged: Weights, adapted: Loaded) -> tuple[int, int]:
    """How many of the weights that an adapter changes a merged checkpoint does not.

    Args:
        merged: The checkpoint that came of merging.
        adapted: The model with the adapter beside its weights.

    Returns:
        Those weights that are still the base's, and all that the adapter changes.
    """
    erased = total = 0
    for name in adapted.adapted():
        base, delta = adapted[name]
        if delta is None or name not in merged:
            continue
        before, after = base.detach().float(), merged[name].values
        grid = coarser(grid_of(after), grid_of(before))
        for ours, theirs, added in _parts(after, before, delta):
            changed = added != 0
            total += int(changed.sum())
            erased += int((changed & (steps(ours, theirs, grid) == 0)).sum())
    return erased, total


def _same(ours: Weight, theirs: Weight) -> bool:
    if ours.delta is not None or theirs.delta is not None:
        return False
    if ours.base.data_ptr() == theirs.base.data_ptr():
        return ours.base.dtype == theirs.base.dtype
    return ours.base.dtype == theirs.base.dtype and torch.equal(ours.base, theirs.base)


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    flat = [tensor.reshape(-1) for tensor in tensors]
    for start in range(0, flat[0].numel(), CHUNK):
        yield tuple(tensor[start : start + CHUNK] for tensor in flat)
