"""Prefill of prompts, once each, for a rolling batch."""

from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.engines.growing import GrowingLayer
from inspect_lda.engines.prefix import (
    Prefill,
    PrefixStore,
    common_length,
    stack,
)

WORTHWHILE = 8
"""A common prefix of fewer ids is not worth a forward of its own."""

Prompt = tuple[int, ...]
States = tuple[Tensor, ...]
Known = tuple[int, Prefill | None]
"""How many ids of a prompt are known, and the prefill that begins with them."""


class Forward(Protocol):
    """The model part of a decoder."""

    @property
    def rolls(self) -> bool:
        """Whether rows may join and leave a running batch."""
        ...

    @property
    def device(self) -> torch.device:
        """Where input tensors go."""
        ...

    def new_cache(self) -> Cache:
        """An empty cache."""
        ...

    def forward(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
    ) -> States:
        """Feed ids `[batch, n]`; return what the next token is drawn from."""
        ...


class Prefiller:
    """Turns prompts into cached keys and values.

    Args:
        model: Runs the forwards.
        max_tokens: Most padded prompt tokens in one forward (one prompt always fits).
        prefix_bytes: Most bytes of the prefix store; 0 keeps nothing.
    """

    def __init__(self, model: Forward, max_tokens: int, prefix_bytes: int) -> None:
        self._model = model
        self._max_tokens = max_tokens
        self._store = PrefixStore(0)
        self.limit_store(prefix_bytes)

    def limit_store(self, prefix_bytes: int) -> None:
        """Hold at most so many bytes of prefixes from now on."""
        self._store.limit(prefix_bytes if self._model.rolls else 0)

    def fits(self, prompts: Sequence[Prompt]) -> int:
        """How many of the prompts, in order, one forward may prefill."""
        fresh: set[Prompt] = set()
        longest = 0
        for count, prompt in enumerate(prompts):
            if self._store.get(prompt) is None:
                fresh.add(prompt)
                longest = max(longest, len(prompt))
            if len(fresh) > 1 and longest * len(fresh) > self._max_tokens:
                return count
        return len(prompts)

    def together(self, prompts: Sequence[Prompt]) -> tuple[Cache, Tensor, States]:
        """Prefill prompts in one padded forward, nothing shared.

        Returns:
            The cache, its mask `[batch, n]` and the states after the last token.
        """
        cache = self._model.new_cache()
        mask = column_mask([len(prompt) for prompt in prompts])
        states = self._forward(padded_ids(prompts), mask, cache)
        return cache, mask.to(self._model.device), states

    def shared(self, prompts: Sequence[Prompt]) -> tuple[Cache, Tensor, States]:
        """Prefill every distinct prompt once and join the results as a batch."""
        found = {prompt: self._store.get(prompt) for prompt in prompts}
        missing = [prompt for prompt, prefill in found.items() if prefill is None]
        if missing:
            common = self._prefill_common(missing)
            found.update(zip(missing, self._prefill(missing, common), strict=True))
        prefills = [cast(Prefill, found[prompt]) for prompt in prompts]
        cache = self._model.new_cache()
        for index, layer in enumerate(stack([prefill.layers for prefill in prefills])):
            cache.update(*layer, index)
        mask = column_mask([len(prompt) for prompt in prompts]).to(self._model.device)
        states = tuple(
            torch.cat(parts)
            for parts in zip(*(prefill.states for prefill in prefills), strict=True)
        )
        return cache, mask, states

    def _prefill_common(self, prompts: list[Prompt]) -> Known | None:
        # Prompts that arrive together often share a system message nobody has fed yet.
        common = prompts[0]
        for prompt in prompts[1:]:
            common = common[: common_length(common, prompt)]
        if len(prompts) < 2 or len(common) < WORTHWHILE:
            return None
        known, prefill = self._store.longest(common)
        if known < len(common):
            # Handed on, because a store that made room for rows may not keep it.
            [prefill] = self._prefill([common], None)
        return len(common), prefill

    def _prefill(self, prompts: list[Prompt], common: Known | None) -> list[Prefill]:
        reused = [self._longest(prompt, common) for prompt in prompts]
        # All rows feed equally many ids, so that no padding falls between a reused
        # prefix and its continuation: a sliding window counts columns.
        fed = max(
            max(1, len(prompt) - length)
            for prompt, (length, _) in zip(prompts, reused, strict=True)
        )
        cache = self._model.new_cache()
        pasts = [max(0, len(prompt) - fed) for prompt in prompts]
        if max(pasts) > 0:
            _fill(cache, pasts, [prefill for _, prefill in reused])
        mask = column_mask([len(prompt) for prompt in prompts], max(pasts) + fed)
        states = self._forward(
            padded_ids([prompt[-fed:] for prompt in prompts]), mask, cache
        )
        prefills = []
        for row, prompt in enumerate(prompts):
            prefill = _one_row(cache, states, row, len(prompt))
            self._store.put(prompt, prefill)
            prefills.append(prefill)
        return prefills

    def _longest(self, prompt: Prompt, common: Known | None) -> Known:
        stored = self._store.longest(prompt)
        return common if common is not None and common[0] > stored[0] else stored

    def _forward(self, ids: Tensor, mask: Tensor, cache: Cache) -> States:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        device = self._model.device
        return self._model.forward(
            ids.to(device), mask.to(device), positions.to(device), cache
        )


def layers_of(cache: Cache) -> list[GrowingLayer]:
    """The layers of a cache that rolls."""
    return cast(list[GrowingLayer], cache.layers)


def column_mask(lengths: Sequence[int], width: int | None = None) -> Tensor:
    """Mask `[batch, width]` of left-padded rows."""
    width = width or max(lengths)
    return (torch.arange(width) >= width - torch.tensor(lengths).unsqueeze(-1)).long()


def _fill(cache: Cache, pasts: list[int], prefills: list[Prefill | None]) -> None:
    source = next(prefill for prefill in prefills if prefill is not None)
    rows = [
        [(keys[:, :, :past], values[:, :, :past]) for keys, values in layers]
        for past, prefill in zip(pasts, prefills, strict=True)
        for layers in [(prefill or source).layers]
    ]
    for index, layer in enumerate(stack(rows)):
        cache.update(*layer, index)


def _one_row(cache: Cache, states: States, row: int, length: int) -> Prefill:
    here = slice(row, row + 1)
    return Prefill(
        layers=tuple(
            (keys[here, :, -length:].clone(), values[here, :, -length:].clone())
            for keys, values in (layer.states() for layer in layers_of(cache))
        ),
        states=tuple(state[here].clone() for state in states),
    )


def padded_ids(prompts: Sequence[Prompt]) -> Tensor:
    """Ids `[batch, width]` of left-padded rows."""
    width = max(map(len, prompts))
    return torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
