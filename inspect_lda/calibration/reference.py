"""The same weights in float32: what the logits would be without rounding."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from inspect_lda.calibration.readings import Single, alone
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.prefill import Prompt

AFFORDABLE = 1_000_000_000
"""Parameters of one checkpoint up to which a float32 copy is made unasked (4 GB)."""

_PLAIN = (torch.float32, torch.float16, torch.bfloat16)


def obstacle(model: AmplifiedLM, limit: int | None = AFFORDABLE) -> str | None:
    """Why there is no float32 reference for a pair; None if there can be one.

    Args:
        model: The pair.
        limit: Most parameters of a checkpoint; None for any.
    """
    if model.dtype == torch.float32:
        return "the run computes in float32 itself"
    for half in (model.after, model.before):
        places = set(map(str, getattr(half, "hf_device_map", {}).values()))
        if len(places) > 1:
            return f"its layers lie in several places ({', '.join(sorted(places))})"
        if not all(p.dtype in _PLAIN for p in half.parameters()):
            return "its weights are quantised"
        if limit is not None and (count := half.num_parameters()) > limit:
            return f"a float32 copy of {count:,} parameters is made only when asked for"
    return None


def float32_logits(
    model: AmplifiedLM, prompts: Sequence[Prompt], replies: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits `[rows, n, V]` of both checkpoints with their weights in float32.

    One copy of a checkpoint is held at a time.
    """
    after = _wide_logits(model.after, prompts, replies)
    known = (known_prompts(model, prompts), model.known_to_before(replies))
    return after, _wide_logits(model.before, *known).to(after.device)


def known_prompts(model: AmplifiedLM, prompts: Sequence[Prompt]) -> list[Prompt]:
    """Prompts in ids that `before` can embed."""
    return [
        tuple(model.known_to_before(torch.tensor(prompt)).tolist())
        for prompt in prompts
    ]


def _wide_logits(
    checkpoint: PreTrainedModel, prompts: Sequence[Prompt], replies: Tensor
) -> Tensor:
    wide = copy.deepcopy(checkpoint).float()
    return alone(Single.of(wide).model, prompts, replies)[0]
