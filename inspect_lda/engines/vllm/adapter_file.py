"""Reads the matrices of a PEFT LoRA adapter; no vLLM here."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from inspect_lda.checkpoints.source import locate
from inspect_lda.errors import LDAError

_WEIGHTS = "adapter_model.safetensors"
_TENSOR = re.compile(
    r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$"
)
# What changes the model in other ways than A and B; true or non-empty is refused.
_OTHER = (
    "use_dora",
    "fan_in_fan_out",
    "lora_bias",
    "modules_to_save",
    "trainable_token_indices",
    "layer_replication",
    "target_parameters",
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
)


class Lora(NamedTuple):
    """One adapted matrix: its change is `b @ a`, the scaling is in `b`."""

    a: Tensor
    b: Tensor


def read_adapter(name: str, revision: str | None, argument: str) -> dict[str, Lora]:
    """The matrices of an adapter, by the name of the module in the base checkpoint.

    Args:
        name: Directory or hub id.
        revision: Commit of a hub id.
        argument: `after` or `before`, for error messages.

    Raises:
        LDAError: If it is missing, damaged, or more than a plain LoRA.
    """
    found = locate(f"{name}@{revision}" if revision else name, argument)
    record, weights = found.file("adapter_config.json"), found.file(_WEIGHTS)
    if record is None or weights is None:
        raise LDAError(
            f"{argument}: {name} is no adapter with {_WEIGHTS}. Save it with "
            "PeftModel.save_pretrained."
        )
    config = json.loads(record.read_text(encoding="utf-8"))
    _check_plain(config, name, argument)
    return _pairs(_load(weights, argument), config, name, argument)


def _check_plain(config: Mapping[str, Any], name: str, argument: str) -> None:
    other = [key for key in _OTHER if config.get(key)]
    if config.get("peft_type") != "LORA":
        other.append(f"peft_type={config.get('peft_type')}")
    if config.get("bias", "none") != "none":
        other.append(f"bias={config['bias']}")
    if other:
        raise LDAError(
            f"{argument}: the adapter {name} is more than a plain LoRA "
            f"({', '.join(other)}), which this engine does not run. Merge it "
            "(PeftModel.merge_and_unload, in float32) and give the merged directory."
        )


def _load(path: Path, argument: str) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise LDAError(f"{argument}: corrupt adapter file {path} ({error})") from error


def _pairs(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], name: str, argument: str
) -> dict[str, Lora]:
    sides: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        match = _TENSOR.match(key)
        if match is None:
            raise LDAError(
                f"{argument}: the adapter {name} holds '{key}', which is no LoRA "
                "matrix. Merge the adapter and give the merged directory."
            )
        sides.setdefault(match["module"], {})[match["side"]] = tensor.float()
    loras = {}
    for module, pair in sides.items():
        if pair.keys() != {"A", "B"}:
            raise LDAError(f"{argument}: the adapter {name} has half of '{module}'")
        scale = _scaling(config, module, pair["A"].shape[0])
        loras[module] = Lora(pair["A"], pair["B"] * scale)
    return loras


def _scaling(config: Mapping[str, Any], module: str, rank: int) -> float:
    patterns: Mapping[str, float] = config.get("alpha_pattern") or {}
    alpha = float(config["lora_alpha"])
    for pattern, value in patterns.items():
        # As PEFT matches them: the end of a module's name.
        if re.match(rf"(.*\.)?({pattern})$", module):
            alpha = float(value)
            break
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
