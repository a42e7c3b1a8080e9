"""A checkpoint pair on known prompts, in the shapes that a run gives it.

`in_batch` does what the rolling batch does: shared prefixes, left padding, one token a
step for all rows. `alone` is one forward a row. What differs between the two for one
and the same checkpoint is rounding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from inspect_lda.decoding.amplify import known_logits
from inspect_lda.decoding.sample import UniformStream, inverse_cdf
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.prefill import Forward, Prefiller, Prompt, States

MAX_PREFILL = 4096
"""Most padded prompt tokens of one forward."""


@dataclass(frozen=True)
class Reading:
    """Logits of both checkpoints where the tokens of some replies were drawn.

    Attributes:
        replies: `[rows, n]` ids.
        after: `[rows, n, V]` logits of `after`, in the dtype it gives.
        before: `[rows, n, V_before]` logits of `before`.
    """

    replies: Tensor
    after: Tensor
    before: Tensor


class Single:
    """One checkpoint, or a pair, run as it is: a `prefill.Forward`.

    Args:
        model: A composite; of a checkpoint with itself, it runs once.
    """

    def __init__(self, model: AmplifiedLM) -> None:
        self.model = model

    @classmethod
    def of(cls, checkpoint: PreTrainedModel) -> "Single":
        """One checkpoint alone."""
        return cls(AmplifiedLM(checkpoint, checkpoint))

    @property
    def rolls(self) -> bool:
        """Whether rows may join and leave a running batch."""
        return self.model.rolls

    @property
    def device(self) -> torch.device:
        """Where input tensors go."""
        return self.model.device

    def new_cache(self) -> Cache:
        """An empty cache."""
        return self.model.new_cache()

    def forward(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
    ) -> States:
        """Logits `[batch, V]` of both halves after ids `[batch, n]`."""
        after, before = self.model.halves(
            cache,
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
        )
        return after[:, -1], before[:, -1]


@torch.inference_mode()
def in_batch(
    model: Forward,
    prompts: Sequence[Prompt],
    replies: Tensor | None = None,
    *,
    length: int,
    keep: int | None = None,
    allowed: Tensor | None = None,
) -> Reading:
    """Decode as a rolling batch does.

    Args:
        model: Runs the pair.
        prompts: One a row.
        replies: `[rows, length]` ids to feed; None draws them from `after`, the same
            ones every time.
        length: Tokens a reply.
        keep: Logits are kept of so many rows; None keeps all.
        allowed: `[V]` bool, ids that may be drawn.
    """
    prefiller = Prefiller(model, MAX_PREFILL, 0)
    prefill = prefiller.shared if model.rolls else prefiller.together
    cache, mask, states = prefill(prompts)
    streams = [UniformStream(seed) for seed in range(len(prompts))]
    kept: list[tuple[Tensor, ...]] = []
    taken: list[Tensor] = []
    for step in range(length):
        # Copied, because a compiled step writes its next logits to the same place.
        kept.append(tuple(state[:keep].clone() for state in states))
        if replies is None:
            taken.append(_drawn(states[0], streams, allowed))
        else:
            taken.append(replies[:, step].to(mask.device))
        if step + 1 < length:
            mask = pad(mask, (0, 1), value=1)
            positions = mask.sum(-1, keepdim=True) - 1
            states = model.forward(taken[-1].unsqueeze(-1), mask, positions, cache)
    after, before = (torch.stack(half, dim=1) for half in zip(*kept, strict=True))
    return Reading(torch.stack(taken, dim=1).cpu(), after, before)


@torch.inference_mode()
def alone(
    model: AmplifiedLM,
    prompts: Sequence[Prompt],
    replies: Tensor,
    *,
    nudged: bool = False,
) -> tuple[Tensor, Tensor]:
    """Logits `[rows, n, V]` of both halves, from one forward a row, without a cache.

    Args:
        model: Runs the pair.
        prompts: One a row; rows beyond them are left out.
        replies: `[rows, n]` ids.
        nudged: Move half of what `after` embeds by one unit in the last place, so that
            nothing rounds as it did: kernels may round alike whatever the shape, which
            two checkpoints that differ never do.
    """
    with _nudging(model.after) if nudged else nullcontext():
        return _alone(model, prompts, replies)


def _alone(
    model: AmplifiedLM, prompts: Sequence[Prompt], replies: Tensor
) -> tuple[Tensor, Tensor]:
    length = replies.shape[1]
    rows = []
    for prompt, reply in zip(prompts, replies.tolist(), strict=False):
        ids = torch.tensor([[*prompt, *reply[:-1]]], device=model.device)
        rows.append(
            model.halves(
                None,
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                position_ids=torch.arange(ids.shape[1], device=ids.device)[None],
                use_cache=False,
                logits_to_keep=length,
            )
        )
    after, before = (torch.cat(half) for half in zip(*rows, strict=True))
    return after, before


def _drawn(
    logits: Tensor, streams: Sequence[UniformStream], allowed: Tensor | None
) -> Tensor:
    p = torch.softmax(known_logits(logits, allowed), dim=-1)
    uniforms = [stream.next() for stream in streams]
    return inverse_cdf(p, torch.tensor(uniforms, device=p.device, dtype=torch.float64))


@contextmanager
def _nudging(model: PreTrainedModel) -> Iterator[None]:
    generator = torch.Generator().manual_seed(0)

    def nudge(_: Any, __: Any, embedded: Tensor) -> Tensor:
        steps = torch.randint(0, 2, embedded.shape, generator=generator)
        signs = torch.randint(0, 2, embedded.shape, generator=generator) * 2 - 1
        # 3/4 of eps is 0.75 to 1.5 units in the last place, which rounds to one or two.
        moved = 0.75 * torch.finfo(embedded.dtype).eps * (steps * signs)
        return (embedded.double() * (1 + moved.to(embedded.device))).to(embedded.dtype)

    hook = model.get_input_embeddings().register_forward_hook(nudge)
    try:
        yield
    finally:
        hook.remove()
