"""Which form of a pair to run: the fastest one that gives both checkpoints' logits."""

import logging
import time
from collections.abc import Callable
from functools import partial

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.doubled import DoubledLM, DoubledTrunkLM, is_plain_lora
from inspect_lda.engines.trunk import TrunkLM, shared_depth
from inspect_lda.errors import LDAError

logger = logging.getLogger(__name__)

PROBE = [[11, 7, 5, 3, 9, 4, 6, 8], [0, 0, 0, 5, 8, 10, 6, 4]]
TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Largest error of a doubled batch against two passes, of the largest logit: a matrix
product of 2B rows rounds differently from one of B rows."""
GROSS = 0.25
"""Error, of the largest logit, that no rounding explains: some recurrent layers step
with another formula than they prefill with, and are off by 0.0003."""
TIMED_ROWS = 4
TIMED_STEPS = 5

Model = PreTrainedModel | PeftModel


def amplified_lm(
    before: Model,
    after: Model,
    *,
    allowed: Tensor | None = None,
    shared: Tensor | None = None,
) -> AmplifiedLM:
    """The composite that decodes this pair fastest.

    Args:
        before: Causal LM before training.
        after: Causal LM after training.
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.

    Raises:
        LDAError: If the architecture can not decode from a cache that is handed to it.
    """
    whole = AmplifiedLM(before, after, allowed=allowed, shared=shared)
    if not whole.rolls:
        _check_cache(whole)
    if whole.is_identity:
        return whole
    depth = shared_depth(whole.after, whole.before)
    masks = {"allowed": allowed, "shared": shared}
    best = whole
    if depth > 0:
        split = partial(TrunkLM, before, after, depth, **masks)
        best = _sound(whole, split, tolerance=0.0) or whole
    if best is not whole:
        logger.info("the first %d of %d layers run once", depth, whole.n_after)
    if not isinstance(after, PeftModel) or not _doubles(whole, before, after):
        return best
    base = whole.before
    twice: Callable[[], AmplifiedLM] = (
        partial(DoubledLM, base, after, **masks)
        if best is whole
        else partial(DoubledTrunkLM, base, after, depth, **masks)
    )
    doubled = _sound(whole, twice, tolerance=TOLERANCE.get(whole.dtype, 0.0))
    return best if doubled is None else _faster(best, doubled)


@torch.inference_mode()
def _check_cache(model: AmplifiedLM) -> None:
    """Refuse models that keep their state elsewhere, or want a cache of their own."""
    ids = torch.tensor(PROBE, device=model.device)
    mask = (ids > 0).long()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    kinds = ", ".join(sorted(model.layer_kinds))
    names = " and ".join(
        sorted({type(m).__name__ for m in (model.after, model.before)})
    )
    refusal = (
        f"{names} (layers of kind {kinds}) can not be amplified by this engine: two "
        "models need one cache that holds all of their state"
    )
    try:
        # Forwards in between: a state inside the model does not survive them.
        whole = model.halves(
            None,
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
        )
        cached = _probe(model, lambda: model.halves(None, input_ids=ids.flip(1)))
    except (AttributeError, TypeError, ValueError) as error:
        raise LDAError(f"{refusal}. It says: {error}") from error
    for expected, got in zip(whole, cached[2:], strict=True):
        last = expected[:, -1:]
        if not torch.allclose(last, got, rtol=0, atol=GROSS * float(last.abs().max())):
            raise LDAError(f"{refusal}, and decoding from the cache gives other logits")


def _doubles(whole: AmplifiedLM, before: Model, after: PeftModel) -> bool:
    if isinstance(before, PeftModel) or not whole.rolls or not is_plain_lora(after):
        return False
    held = {tensor.data_ptr() for tensor in before.parameters()}
    return all(
        tensor.data_ptr() in held
        for name, tensor in after.named_parameters()
        if "lora_" not in name
    )


def _sound(
    whole: AmplifiedLM, make: Callable[[], AmplifiedLM], tolerance: float
) -> AmplifiedLM | None:
    try:
        model = make()
        expected, got = _probe(whole), _probe(model)
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        logger.info("%s is run as two models: %s", type(whole.after).__name__, error)
        return None
    for a, b in zip(expected, got, strict=True):
        if not torch.allclose(a, b, rtol=0, atol=tolerance * float(a.abs().max())):
            logger.info("%s differs from two models: not used", type(model).__name__)
            return None
    return model


@torch.inference_mode()
def _probe(
    model: AmplifiedLM, between: Callable[[], object] = lambda: None
) -> list[Tensor]:
    """Logits with a cache and with padding; padded positions left out."""
    ids = torch.tensor(PROBE, device=model.device)
    mask = (ids > 0).long()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = model.new_cache()
    first = model.halves(
        cache,
        input_ids=ids[:, :-1],
        attention_mask=mask[:, :-1],
        position_ids=positions[:, :-1],
        use_cache=True,
    )
    between()
    second = model.halves(
        cache,
        input_ids=ids[:, -1:],
        attention_mask=mask,
        position_ids=positions[:, -1:],
        use_cache=True,
    )
    return [*(logits[1, 3:] for logits in first), *second]


def _faster(whole: AmplifiedLM, doubled: AmplifiedLM) -> AmplifiedLM:
    times: dict[AmplifiedLM, list[float]] = {whole: [], doubled: []}
    for _ in range(3):
        for model, seconds in times.items():
            seconds.append(_step_seconds(model))
    best = min(times, key=lambda model: min(times[model]))
    logger.info(
        "doubled rows take %.2f of the time of two passes: %s is used",
        min(times[doubled]) / min(times[whole]),
        type(best).__name__,
    )
    return best


@torch.inference_mode()
def _step_seconds(model: AmplifiedLM) -> float:
    ids = torch.full((TIMED_ROWS, 1), 5, device=model.device)
    cache = model.new_cache()
    model.halves(cache, input_ids=ids.expand(-1, 16), use_cache=True)
    start = time.perf_counter()
    for _ in range(TIMED_STEPS):
        after, _ = model.halves(cache, input_ids=ids, use_cache=True)
    float(after[0, -1, 0])  # waits for the device
    return time.perf_counter() - start
