"""What must be equal in a pair, bit for bit, as its own engine runs it.

alpha 0 is `after` alone and alpha -1 is `before` alone: the logits of the form that
runs the pair are compared with those of each checkpoint on its own in the same shapes,
and rollouts at both alphas with the checkpoint that they must be drawn from.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from inspect_lda.calibration.readings import Reading, Single, in_batch
from inspect_lda.calibration.reference import known_prompts
from inspect_lda.calibration.result import Identity
from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.choose import TOLERANCE
from inspect_lda.engines.doubled import DoubledLM, DoubledTrunkLM
from inspect_lda.engines.prefill import Prompt
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.transformers import PairDecoder

DRAWN = 3
"""Tokens drawn at alpha 0 and at alpha -1."""
REPORTED = 8
"""Ids whose log-probabilities are compared at each of them."""


def checkpoint_identities(
    decoder: PairDecoder, prompts: Sequence[Prompt], reading: Reading
) -> tuple[Identity, Identity]:
    """Whether the form's two halves are the two checkpoints alone.

    Args:
        decoder: Runs the pair.
        prompts: The rows of the batch that was read.
        reading: What the form gave, of its first rows and tokens.
    """
    keep, length = reading.after.shape[:2]
    model = decoder.model
    own = in_batch(
        Single.of(model.after), prompts, reading.replies, length=length, keep=keep
    )
    theirs = in_batch(
        Single.of(model.before),
        known_prompts(model, prompts),
        model.known_to_before(reading.replies),
        length=length,
        keep=keep,
    )
    return (
        _compared("alpha 0 is `after` alone", decoder, reading.after, own.after),
        _compared("alpha -1 is `before` alone", decoder, reading.before, theirs.after),
    )


def drawn_identities(
    decoder: PairDecoder, prompts: Sequence[Prompt]
) -> tuple[Identity, Identity]:
    """Whether rollouts at alpha 0 and -1 are drawn from the checkpoints."""
    alphas = (0.0, -1.0)
    rows = [_row(decoder, prompt, alpha) for prompt in prompts for alpha in alphas]
    batch = RollingBatch(decoder, len(rows))
    batch.admit(rows)
    batch.drop_finished()
    while batch.rows:
        batch.step()
        batch.drop_finished()
    errors = dict.fromkeys(alphas, 0.0)
    for row in rows:
        alpha = row.request.alpha
        errors[alpha] = max(errors[alpha], *_gaps(row))
    return (
        Identity(name="alpha 0 draws from `after`", error=errors[0.0], tolerance=0.0),
        Identity(
            name="alpha -1 draws from `before`", error=errors[-1.0], tolerance=0.0
        ),
    )


def _row(decoder: PairDecoder, prompt: Prompt, alpha: float) -> RowState:
    request = Request(prompt, alpha, Sampling(), DRAWN, top_logprobs=REPORTED)
    return decoder.row(request)


def _gaps(row: RowState) -> list[float]:
    """What log q of the most likely ids is off by, of the checkpoint's own."""
    if row.error is not None:
        raise row.error
    place = 2 if row.request.alpha == 0 else 3
    return [
        0.0 if one[1] == one[place] else abs(one[1] - one[place])
        for step in row.logprobs
        for one in step.top
    ]


def _compared(name: str, decoder: PairDecoder, form: Tensor, alone: Tensor) -> Identity:
    error = float((form.float() - alone.float()).abs().nan_to_num(nan=torch.inf).max())
    scale = float(alone.abs().max())
    exact = decoder.steps is None and not isinstance(
        decoder.model, DoubledLM | DoubledTrunkLM
    )
    # A product of 2B rows, or a compiled kernel, rounds differently.
    tolerance = 0.0 if exact else TOLERANCE.get(decoder.model.dtype, 0.0) * scale
    return Identity(name=name, error=error, tolerance=tolerance)
