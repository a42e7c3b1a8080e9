"""What happens between the combination and the draw, in this order.

penalties and logit_bias (once, on the amplified logits) -> temperature -> top-k ->
top-p -> min-p. All settings are per row; a row with a neutral setting is untouched.
There is no plausibility mask on p_after: it would delete the rare tokens that
amplification exists to find.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inspect_lda.decoding.settings import Sampling

ALL_IDS = 2**31
"""No vocabulary is as large: a top-k from here on keeps all."""


@dataclass(frozen=True)
class Settings:
    """The sampling settings of a batch as `[batch]` tensors.

    Attributes:
        alpha: Amplification.
        temperature: Divisor of the logits; rows that sample greedily hold 1.
        greedy: Rows with temperature 0; None if there are none.
        top_k: 0 keeps all.
        top_p: 1 keeps all.
        min_p: 0 keeps all.
        edits: Rows that have penalties or a logit bias.
        truncates: Whether any row has top-k, top-p or min-p.
        scales: Whether any row has a temperature other than 1.
    """

    alpha: Tensor
    temperature: Tensor
    greedy: Tensor | None
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    edits: tuple[int, ...]
    truncates: bool
    scales: bool

    @classmethod
    def of(
        cls, rows: Sequence[Sampling], alphas: Sequence[float], device: torch.device
    ) -> "Settings":
        """Stack the settings of one request a row."""

        def stack(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)

        temperature = stack([row.temperature for row in rows])
        return cls(
            alpha=stack(list(alphas)),
            temperature=torch.where(temperature == 0, 1.0, temperature),
            greedy=temperature == 0
            if any(row.temperature == 0 for row in rows)
            else None,
            top_k=torch.tensor(
                [min(row.top_k, ALL_IDS) for row in rows], device=device
            ),
            top_p=stack([row.top_p for row in rows]),
            min_p=stack([row.min_p for row in rows]),
            edits=tuple(
                index
                for index, row in enumerate(rows)
                if row.logit_bias or row.frequency_penalty or row.presence_penalty
            ),
            truncates=any(
                row.top_k > 0 or row.top_p < 1 or row.min_p > 0 for row in rows
            ),
            scales=any(row.temperature not in (0, 1) for row in rows),
        )

    def scale(self, logits: Tensor) -> Tensor:
        """Logits `[batch, V]` divided by the temperatures."""
        return logits / self.temperature.unsqueeze(-1) if self.scales else logits


def edit(logits: Tensor, sampling: Sampling, counts: Mapping[int, int]) -> None:
    """Apply penalties and logit bias to one row `[V]` in place.

    Args:
        logits: One row of logits, on its model's own scale.
        sampling: Penalties and bias.
        counts: How often each id occurred in the completion so far.
    """
    for token, count in counts.items():
        penalty = sampling.frequency_penalty * count + sampling.presence_penalty
        logits[token] -= penalty
    for token, bias in sampling.logit_bias.items():
        logits[token] += bias


def truncate(scaled: Tensor, settings: Settings) -> Tensor:
    """Apply top-k, then top-p, then min-p to `[batch, V]` temperature-scaled logits.

    Dropped ids become -inf. Softmax and cumulative sums are float32 at least; the
    token that crosses the top-p threshold is kept, and so is the most likely token.
    """
    if not settings.truncates:
        return scaled
    scaled = _top_k(scaled, settings.top_k)
    scaled = _top_p(scaled, settings.top_p)
    return _min_p(scaled, settings.min_p)


def _top_k(scaled: Tensor, k: Tensor) -> Tensor:
    largest = int(k.max())
    if largest <= 0:
        return scaled
    width = min(largest, scaled.shape[-1])
    top = scaled.topk(width, dim=-1).values
    kth = top.gather(-1, (k.clamp(1, width) - 1).unsqueeze(-1))
    drop = (scaled < kth) & (k > 0).unsqueeze(-1)
    return scaled.masked_fill(drop, -torch.inf)


def _top_p(scaled: Tensor, p: Tensor) -> Tensor:
    rows = (p < 1).nonzero().squeeze(-1)
    if len(rows) == 0:
        return scaled
    ordered, index = scaled[rows].sort(dim=-1, descending=True)
    mass = ordered.softmax(-1).cumsum(-1)
    # Mass before the token, so that the token which crosses the threshold stays.
    drop = mass - ordered.softmax(-1) >= p[rows].unsqueeze(-1)
    drop[:, 0] = False
    kept = ordered.masked_fill(drop, -torch.inf)
    result = scaled.clone()
    result[rows] = torch.empty_like(kept).scatter(-1, index, kept)
    return result


def _min_p(scaled: Tensor, p: Tensor) -> Tensor:
    if not bool((p > 0).any()):
        return scaled
    floor = scaled.amax(-1, keepdim=True) + p.clamp(min=0).log().unsqueeze(-1)
    return scaled.masked_fill(scaled < floor, -torch.inf)
