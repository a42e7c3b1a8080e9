"""Failures of the loading libraries, told in terms of our arguments."""

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from inspect_lda.checkpoints.source import Checkpoint
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")


def explain(
    error: Exception,
    argument: str,
    checkpoint: Checkpoint,
    config: "PreTrainedConfig | None" = None,
    dtype: str = "float32",
    device: str = "cpu",
) -> LDAError:
    """The error a user can act on, for one raised while loading `checkpoint`."""
    if isinstance(error, LDAError):
        return error
    name, text = checkpoint.name, str(error)
    if is_out_of_memory(error):
        return LDAError(_memory_text(argument, name, config, dtype, device))
    damaged = damaged_files(checkpoint)
    if damaged:
        listed = "; ".join(f"{path} ({why})" for path, why in damaged)
        return LDAError(
            f"{argument}: corrupt weights: {listed}. Copy or download {name} again."
        )
    if (reason := _known_reason(text)) is not None:
        return LDAError(f"{argument}: {name} {reason}")
    return LDAError(
        f"{argument}: {name} could not be loaded on {device} in {dtype}: "
        f"{type(error).__name__}: {_first_lines(text)}"
    )


def _known_reason(text: str) -> str | None:
    """Messages of transformers that have a plainer form, as "<checkpoint> ..."."""
    if "trust_remote_code" in text:
        return (
            "brings its own Python code, which is not run unless you say so. Read that "
            "code first; then pass -M trust_remote_code=true."
        )
    if "Unrecognized configuration class" in text:
        return (
            "is not a causal language model that transformers can load with "
            "AutoModelForCausalLM."
        )
    if "does not recognize this architecture" in text or "Unrecognized model" in text:
        return (
            "has an architecture that the installed transformers does not know, or no "
            "model_type in its config.json. Upgrade transformers, or give the "
            "directory that save_pretrained wrote."
        )
    if "has been toggled on" in text or "`kernels` is either not" in text:
        return (
            "was to be loaded with an attn_implementation whose package is not "
            f"installed: {_first_lines(text)} Install it, or leave "
            "-M attn_implementation= out."
        )
    if "no file named" in text or "does not appear to have" in text:
        return (
            "holds a config but no weights (model.safetensors). Give the directory "
            "that save_pretrained wrote, or a PEFT adapter."
        )
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the host or on a device."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = str(error).lower()
    return isinstance(error, (RuntimeError, OSError)) and any(
        sign in text for sign in _OUT_OF_MEMORY
    )


def damaged_files(checkpoint: Checkpoint) -> list[tuple[Path, str]]:
    """Local safetensors files whose header does not fit the file."""
    from safetensors import SafetensorError, safe_open

    if not checkpoint.is_local:
        home = checkpoint.file("config.json") or checkpoint.file("adapter_config.json")
        folder = home.parent if home else None
    else:
        folder = Path(checkpoint.source)
    damaged: list[tuple[Path, str]] = []
    for path in sorted(folder.glob("*.safetensors")) if folder else ():
        try:
            with safe_open(path, framework="np"):
                pass
        except (SafetensorError, OSError, ValueError) as error:
            damaged.append((path, str(error)))
    return damaged


def _memory_text(
    argument: str,
    name: str,
    config: "PreTrainedConfig | None",
    dtype: str,
    device: str,
) -> str:
    count = _parameters(config)
    width = 4 if dtype == "float32" else 2
    size = f", about {count * width / 2**30:.3g} GiB of weights" if count else ""
    free = _free_bytes(device)
    left = f"; {free / 2**30:.3g} GiB are free on {device}" if free is not None else ""
    return (
        f"{argument}: out of memory while loading {name} in {dtype} on {device}{size}"
        f"{left}. A pair of full checkpoints needs twice that. Ways out: -M "
        "dtype=float16 (half of float32), another -M device= (or -M before_device=, "
        "which puts `before` alone there), a PEFT adapter as `after` (its base weights "
        "are held once), or smaller checkpoints."
    )


def _parameters(config: "PreTrainedConfig | None") -> int | None:
    """Number of parameters, counted on the meta device (no memory is used)."""
    if config is None:
        return None
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except Exception:  # the size is a courtesy; the message must come in any case
        return None
    return int(sum(one.numel() for one in model.parameters()))


def _free_bytes(device: str) -> int | None:
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return None


def _first_lines(text: str, limit: int = 400) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[:limit]}…"
