"""Where weights are held and in which precision."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig

from inspect_lda.errors import LDAError

# Their activations overflow float16; bfloat16 is what they were trained in.
_NOT_FLOAT16 = ("gemma2", "gemma3", "t5gemma")

SPREAD = "balanced"
"""The device that spreads a model over all GPUs (needs the package accelerate)."""


@dataclass(frozen=True)
class Placement:
    """How weights are held. Part of the registry key.

    Attributes:
        dtype: float32, float16 or bfloat16.
        device: A torch device, or "balanced" for all GPUs.
        attn_implementation: As transformers takes it.
        trust_remote_code: Whether code from the checkpoint may run.
    """

    dtype: str
    device: str
    attn_implementation: str | None
    trust_remote_code: bool


def resolve_device(device: str) -> str:
    """The device that a name stands for: "auto" is the first GPU, else the CPU.

    Raises:
        LDAError: If there is no such device here.
    """
    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    allowed = f"auto, cpu, cuda, cuda:<n>, mps, {SPREAD} (over all GPUs)"
    if device == SPREAD:
        kind, index = "cuda", None
    else:
        try:
            parsed = torch.device(device)
        except RuntimeError as error:
            raise LDAError(f"device: got '{device}'. Allowed: {allowed}") from error
        kind, index = parsed.type, parsed.index
    count = torch.cuda.device_count() if kind == "cuda" else 0
    absent = (kind == "cuda" and (index or 0) >= count) or (
        kind == "mps" and not torch.backends.mps.is_available()
    )
    if absent:
        raise LDAError(
            f"device: '{device}' is not available here ({count} CUDA devices seen by "
            f"torch). Use device=cpu or device=auto. Allowed: {allowed}"
        )
    return "cuda:0" if device == "cuda" else device


def common_dtype(dtype: str, device: str, configs: Iterable[PreTrainedConfig]) -> str:
    """The dtype that a name stands for, the same for both sides.

    Rounding is amplified together with the difference, so "auto" is float32 on the CPU
    and elsewhere float16, which rounds 8 times finer than bfloat16.
    """
    if dtype != "auto":
        return dtype
    if device == "cpu":
        return "float32"
    kinds = [str(one.get_text_config().model_type) for one in configs]
    overflows = any(kind.startswith(_NOT_FLOAT16) for kind in kinds)
    return "bfloat16" if overflows else "float16"
