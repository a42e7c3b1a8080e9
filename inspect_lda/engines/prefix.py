"""One prefill per prompt: keys and values of prompts that were seen before.

Epochs, alphas and seeds of one prompt have the same hidden states, since alpha only
enters after the last layer; turns of one conversation and prompts with one system
message share a prefix. Both are reused here. Entries are per prompt, least recently
used first out, within a budget of bytes.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

KeyValues = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Prefill:
    """What a prompt leaves behind, with no padding.

    Attributes:
        layers: Keys and values `[1, heads, n, d]` of every layer.
        states: What the next token is drawn from, `[1, ...]` each.
    """

    layers: tuple[KeyValues, ...]
    states: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        tensors = [*self.states, *(t for layer in self.layers for t in layer)]
        return sum(tensor.nbytes for tensor in tensors)


class PrefixStore:
    """Prefills by prompt.

    Args:
        max_bytes: Most bytes to hold; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[tuple[int, ...], Prefill] = OrderedDict()

    def get(self, prompt: tuple[int, ...]) -> Prefill | None:
        """The prefill of exactly this prompt."""
        found = self._entries.get(prompt)
        if found is not None:
            self._entries.move_to_end(prompt)
        return found

    def put(self, prompt: tuple[int, ...], prefill: Prefill) -> None:
        """Keep a prefill, dropping the least recently used ones beyond the budget."""
        if prompt in self._entries or prefill.nbytes > self._max_bytes:
            return
        self._entries[prompt] = prefill
        self._bytes += prefill.nbytes
        self.limit(self._max_bytes)

    def limit(self, max_bytes: int) -> None:
        """Hold at most so many bytes from now on, the least recently used out first."""
        self._max_bytes = max(0, max_bytes)
        while self._bytes > self._max_bytes:
            self._bytes -= self._entries.popitem(last=False)[1].nbytes

    def longest(self, prompt: tuple[int, ...]) -> tuple[int, Prefill | None]:
        """The stored prompt with the longest common prefix, and its length."""
        best, found = 0, None
        for stored, prefill in self._entries.items():
            shared = common_length(prompt, stored)
            if shared > best:
                best, found = shared, prefill
        return best, found


def stack(entries: Sequence[Sequence[KeyValues]]) -> Iterator[KeyValues]:
    """Left-pad the layers of several rows to one length and join them as a batch.

    One layer at a time, so that a batch is not held twice while it is built.
    """
    length = max(row[0][0].shape[-2] for row in entries)
    for layer in range(len(entries[0])):
        yield (
            torch.cat([left_pad(row[layer][0], length) for row in entries]),
            torch.cat([left_pad(row[layer][1], length) for row in entries]),
        )


def left_pad(states: Tensor, length: int) -> Tensor:
    """Pad `[batch, heads, n, d]` with zeros in front to n = length."""
    return pad(states, (0, 0, length - states.shape[-2], 0))


def common_length(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """How many ids two prompts begin with alike."""
    length = min(len(left), len(right))
    if left[:length] == right[:length]:
        return length
    return next(index for index in range(length) if left[index] != right[index])
