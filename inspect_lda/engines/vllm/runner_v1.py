"""A step's alphas under Model Runner V1, which has no seam for the state of a model.

vLLM uses it on CPUs without Triton, and where V2 lacks a feature; it is frozen there.
The smallest hook: the method that gathers a model's keyword arguments, just before
every forward pass, also stages the alphas. Other models are left alone.
"""

from functools import wraps
from typing import Any

import numpy as np

from inspect_lda.engines.vllm.alpha import request_alpha

_HOOKED = "_init_model_kwargs"
_MARK = "_lda_hooked"


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
        if hasattr(model, "stage_alphas"):
            model.stage_alphas(_alphas(self, model.default_alpha))
        return original(self, *args, **kwargs)

    setattr(hooked, _MARK, True)
    setattr(GPUModelRunner, _HOOKED, hooked)


def installed() -> bool:
    """Whether the hook is in place: without it every alpha would be the default."""
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    return bool(getattr(getattr(GPUModelRunner, _HOOKED, None), _MARK, False))


def _alphas(runner: Any, default: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """One alpha a token of the step, in the order of the batch."""
    batch = runner.input_batch
    count = batch.num_reqs
    alphas = np.empty(count, np.float32)
    for row, name in enumerate(batch.req_ids[:count]):
        sampling = runner.requests[name].sampling_params
        alphas[row] = request_alpha(sampling.extra_args if sampling else None, default)
    tokens = np.diff(runner.query_start_loc.np[: count + 1])
    return np.repeat(alphas, tokens)
