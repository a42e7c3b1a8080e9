"""The sampling settings of a batch as tensors, and penalties and logit bias."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.settings import Sampling

ALL_IDS = 2**31
"""No vocabulary is as large: a top-k from here on keeps all."""


@dataclass(frozen=True)
class Settings:
    """The sampling settings of a batch as tensors.

    Attributes:
        alpha: `[batch, 1]` amplification.
        temperature: `[batch, 1]` divisor of the logits; greedy rows hold 1.
        scales: Whether any row has a temperature other than 1.
        greedy: `[batch]` rows with temperature 0; None if there are none.
        ranked: `[ranked]` indices of rows with top-k or top-p; None if there are none.
        top_k: `[ranked, 1]`; 0 keeps all.
        top_p: `[ranked, 1]`; infinity keeps all.
        min_p: `[batch, 1]`, 0 keeps all; None if no row has it.
        edits: Indices of the rows that have penalties or a logit bias.
        supported: `[supported]` indices of rows that draw from a support; None if
            there are none.
        support: `[supported, 1]`, how many ids it holds.
        widest: The largest of these.
    """

    alpha: Tensor
    temperature: Tensor
    scales: bool
    greedy: Tensor | None
    ranked: Tensor | None
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor | None
    edits: tuple[int, ...]
    supported: Tensor | None
    support: Tensor
    widest: int

    @classmethod
    def of(
        cls,
        rows: Sequence[Sampling],
        alphas: Sequence[float],
        device: torch.device,
        supports: Sequence[int] = (),
    ) -> "Settings":
        """Stack the settings of one request a row.

        Args:
            rows: Their sampling settings.
            alphas: Their amplifications.
            device: Where the logits are.
            supports: From how many of the ids most likely under `after` each row
                draws, 0 for all; by default all rows draw from all.
        """

        def column(
            values: Sequence[float], dtype: torch.dtype = torch.float32
        ) -> Tensor:
            return send(values, dtype, device).unsqueeze(-1)

        top_k = [row.top_k if row.top_k < ALL_IDS else 0 for row in rows]
        top_p = [row.top_p if row.top_p < 1 else torch.inf for row in rows]
        ranked = [i for i, row in enumerate(rows) if top_k[i] > 0 or row.top_p < 1]
        greedy = [row.temperature == 0 for row in rows]
        # Wider than any vocabulary, and still a number that a tensor holds.
        sizes = [min(size, ALL_IDS) for size in supports]
        supported = [i for i, size in enumerate(sizes) if size > 0]
        return cls(
            alpha=column(alphas),
            temperature=column([row.temperature or 1.0 for row in rows]),
            scales=any(row.temperature not in (0, 1) for row in rows),
            greedy=send(greedy, torch.bool, device) if any(greedy) else None,
            ranked=send(ranked, torch.long, device) if ranked else None,
            top_k=column([top_k[i] for i in ranked], torch.long),
            top_p=column([top_p[i] for i in ranked], torch.float64),
            min_p=column([row.min_p for row in rows])
            if any(row.min_p > 0 for row in rows)
            else None,
            edits=tuple(
                index
                for index, row in enumerate(rows)
                if row.logit_bias or row.frequency_penalty or row.presence_penalty
            ),
            supported=send(supported, torch.long, device) if supported else None,
            support=column([sizes[i] for i in supported], torch.long),
            widest=max(sizes, default=0),
        )

    @property
    def truncates(self) -> bool:
        """Whether any row has top-k, top-p or min-p."""
        return self.ranked is not None or self.min_p is not None

    def scale(self, logits: Tensor, out: Tensor | None = None) -> Tensor:
        """Logits `[batch, V]` divided by the temperatures.

        Args:
            logits: Returned as they are if no row has a temperature.
            out: Memory for the result.
        """
        if not self.scales:
            return logits
        return torch.div(logits, self.temperature, out=out)


class Edit(NamedTuple):
    """What penalties and logit bias add to one row's scaled logits.

    Attributes:
        row: Its place in the batch.
        ids: `[n]` token ids; one may occur twice.
        values: `[n]` what is added to each.
    """

    row: int
    ids: Tensor
    values: Tensor

    @classmethod
    def of(
        cls,
        row: int,
        sampling: Sampling,
        counts: Mapping[int, int],
        device: torch.device,
    ) -> "Edit":
        """Penalties and bias of one row.

        Args:
            row: Its place in the batch.
            sampling: Its penalties, bias and temperature.
            counts: How often each id occurred in the completion so far.
            device: Where the logits are.
        """
        added = {
            token: -sampling.frequency_penalty * count - sampling.presence_penalty
            for token, count in counts.items()
        }
        values = [*added.values(), *sampling.logit_bias.values()]
        # They come before the temperature, and the logits are already divided by it.
        scaled = [value / (sampling.temperature or 1.0) for value in values]
        return cls(
            row,
            send([*added, *sampling.logit_bias], torch.long, device),
            send(scaled, torch.float32, device),
        )

    def apply(self, scaled: Tensor) -> None:
        """Add to the row of `[batch, V]` scaled logits, in place."""
        scaled[self.row].index_add_(0, self.ids, self.values)


def send(values: Sequence[float], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of numbers, without a wait for what the device has to do before."""
    return torch.tensor(values, dtype=dtype).to(device, non_blocking=True)
