"""A step's alphas and slots under Model Runner V1, which has no seam for them.

vLLM uses it on CPUs without Triton, and where V2 lacks a feature; it is frozen there.
The smallest hook: the method that gathers a model's keyword arguments, just before
every forward pass, also stages alphas and slots. Other models are left alone.
"""

from functools import wraps
from typing import Any

import numpy as np

from inspect_lda.engines.vllm.alpha import request_alpha
from inspect_lda.engines.vllm.slots import Slot

_HOOKED = "_init_model_kwargs"
_MARK = "_lda_hooked"
_KNOWN = "_lda_known"
"""Attribute of the runner: alpha and slot of each of its requests."""


def install() -> None:
    """Hook the runner's class, once a process.

    Raises:
        RuntimeError: If this vLLM has no such method; `versions` excludes those.
    """
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    original = getattr(GPUModelRunner, _HOOKED, None)
    if original is None:
        raise RuntimeError(f"this vLLM's GPUModelRunner has no {_HOOKED}")
    if getattr(original, _MARK, False):
        return

    @wraps(original)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:
        model = self.get_model()
        if hasattr(model, "drawing"):
            model.stage(_staged(self, model))
        return original(self, *args, **kwargs)

    setattr(hooked, _MARK, True)
    setattr(GPUModelRunner, _HOOKED, hooked)


def installed() -> bool:
    """Whether the hook is in place: without it every alpha would be the default."""
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    return bool(getattr(getattr(GPUModelRunner, _HOOKED, None), _MARK, False))


def _staged(runner: Any, model: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Alpha and slot a token of the step, in the order of the batch.

    A slot is a place of this step's batch, from 1: its logits are asked for before
    the next step is staged.
    """
    batch = runner.input_batch
    count = batch.num_reqs
    rows = np.zeros((count, 2), np.float32)
    known: dict[str, tuple[float, Slot | None]] = runner.__dict__.setdefault(_KNOWN, {})
    for name in known.keys() - runner.requests.keys():
        del known[name]
    slots: dict[int, Slot] = {}
    for row, name in enumerate(batch.req_ids[:count]):
        if name not in known:
            known[name] = _read(runner.requests[name], model)
        rows[row, 0], slot = known[name]
        if slot is not None:
            rows[row, 1] = row + 1
            slots[row + 1] = slot
    model.drawing.slots = slots
    tokens = np.diff(runner.query_start_loc.np[: count + 1])
    return np.repeat(rows, tokens, axis=0)


def _read(request: Any, model: Any) -> tuple[float, Slot | None]:
    sampling = request.sampling_params
    extra = sampling.extra_args if sampling else None
    default = model.default_alpha
    prompt, width = request.num_prompt_tokens, model.drawing.width
    return request_alpha(extra, default), Slot.of(extra, default, prompt, width)
