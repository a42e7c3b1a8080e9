"""Where weights are held and in which precision."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from transformers import AttentionInterface, PreTrainedConfig

from inspect_lda.errors import LDAError, nearest

if TYPE_CHECKING:
    from inspect_lda.checkpoints.registry import Configs
    from inspect_lda.checkpoints.sides import Sides
    from inspect_lda.pair import PairSpec

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


def place(
    spec: "PairSpec", sides: "Sides", configs: "Configs"
) -> tuple[Placement, Placement]:
    """How `after` and `before` are held: alike, but for their devices.

    Raises:
        LDAError: If a device is not here, or can not run what is asked for, or if two
            are asked for where both sides are made of one base.
    """
    devices = resolve_devices(spec.device, spec.before_device)
    dtype = common_dtype(spec.dtype, devices[0], configs)
    check_attention(spec.attn_implementation, dtype, devices)
    ours, theirs = (
        Placement(dtype, device, spec.attn_implementation, spec.trust_remote_code)
        for device in devices
    )
    if ours != theirs and sides.after.base == sides.before.base:
        raise LDAError(
            f"before_device: got '{spec.before_device}' with after on {ours.device}, "
            f"but both sides are made of {sides.after.base.name}, whose weights are "
            "held once. Leave before_device out."
        )
    return ours, theirs


def resolve_devices(device: str, before_device: str | None) -> tuple[str, str]:
    """The devices of `after` and of `before`; None puts both on one.

    Raises:
        LDAError: If there is no such device here, or the two are of different kinds.
    """
    ours = resolve_device(device)
    if before_device is None:
        return ours, ours
    theirs = resolve_device(before_device, "before_device")
    if ours != theirs and SPREAD in (ours, theirs):
        raise LDAError(
            f"before_device: got '{before_device}' with device='{device}', but "
            f"{SPREAD} spreads both checkpoints over all GPUs. Leave before_device "
            "out, or give each checkpoint one GPU: -M device=cuda:1 "
            "-M before_device=cuda:0"
        )
    if ours.split(":")[0] != theirs.split(":")[0]:
        raise LDAError(
            f"before_device: got '{before_device}' with device='{device}'. Devices of "
            "two kinds round differently, and amplification multiplies that. Give two "
            "devices of one kind, or leave before_device out"
        )
    return ours, theirs


def resolve_device(device: str, argument: str = "device") -> str:
    """The device that a name stands for: "auto" is the first GPU, else the CPU.

    Args:
        device: What the user gave.
        argument: The argument it came from, for error messages.

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
            raise LDAError(f"{argument}: got '{device}'. Allowed: {allowed}") from error
        kind, index = parsed.type, parsed.index
    count = torch.cuda.device_count() if kind == "cuda" else 0
    absent = (kind == "cuda" and (index or 0) >= count) or (
        kind == "mps" and not torch.backends.mps.is_available()
    )
    if absent:
        raise LDAError(
            f"{argument}: '{device}' is not available here ({count} CUDA devices seen "
            f"by torch). Use {argument}=cpu or {argument}=auto. Allowed: {allowed}"
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


def check_attention(name: str | None, dtype: str, devices: Iterable[str]) -> None:
    """Refuse an attention implementation that can not run here, before any loading.

    Raises:
        LDAError: If transformers does not know it, or it needs a GPU or half precision.
    """
    if name is None:
        return
    known = sorted({"eager", *AttentionInterface().valid_keys()})
    # Names with a slash are kernels that transformers gets from the hub.
    if name not in known and "/" not in name:
        raise LDAError(
            f"attn_implementation='{name}' is unknown; {nearest(name, known)}"
        )
    if "flash" not in name:
        return
    kinds = {device.split(":")[0] for device in devices} - {"cuda", SPREAD}
    if kinds:
        raise LDAError(
            f"attn_implementation: '{name}' runs on CUDA devices alone, but device="
            f"{kinds.pop()}. Allowed here: eager, sdpa, flex_attention; or leave it out"
        )
    if dtype == "float32":
        raise LDAError(
            f"attn_implementation: '{name}' computes in half precision alone, but "
            "dtype=float32. Give -M dtype=float16, or -M attn_implementation=sdpa"
        )
