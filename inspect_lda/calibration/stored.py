"""Weights of both checkpoints, tensor by tensor: from their files, or as loaded."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from torch import Tensor, nn

from inspect_lda.calibration.precision import name_of
from inspect_lda.checkpoints.source import Checkpoint

INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"
_STORED = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}


class Weight(NamedTuple):
    """A tensor of a checkpoint, and what its adapter adds to it (None for nothing)."""

    base: Tensor
    delta: Tensor | None

    @property
    def values(self) -> Tensor:
        """The weight that the model computes with, float32."""
        base = self.base.detach().float()
        return base if self.delta is None else base + self.delta.float()


class Files(Mapping[str, Weight]):
    """The safetensors of one full checkpoint; a tensor is read when it is asked for."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._open: dict[Path, Any] = {
            path: safe_open(path, framework="pt") for path in set(paths.values())
        }

    def __getitem__(self, name: str) -> Weight:
        return Weight(self._open[self._paths[name]].get_tensor(name), None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def dtypes(self) -> tuple[str, ...]:
        """Dtypes in the files, the most frequent first; other than floats left out."""
        found = Counter(
            self._open[path].get_slice(name).get_dtype()
            for name, path in self._paths.items()
        )
        return tuple(_STORED[one] for one, _ in found.most_common() if one in _STORED)


def files_of(checkpoint: Checkpoint) -> Files | None:
    """A checkpoint's safetensors; None if its weights are kept in another form."""
    if checkpoint.gguf_file:
        return None
    if (index := checkpoint.file(INDEX)) is not None:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        found = {name: checkpoint.file(file) for name, file in names.items()}
        paths = {name: path for name, path in found.items() if path is not None}
        return Files(paths) if len(paths) == len(found) else None
    if (path := checkpoint.file(WHOLE)) is None:
        return None
    with safe_open(path, framework="pt") as file:
        return Files(dict.fromkeys(file.keys(), path))


class Loaded(Mapping[str, Weight]):
    """The weights of a loaded causal LM, under the names that its base has.

    Args:
        model: The model; what adapters add is computed when a weight is asked for.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers: dict[str, Any] = {
            path: module
            for path, module in model.named_modules()
            if isinstance(module, BaseTunerLayer)
        }
        self._tensors: dict[str, tuple[Tensor, str | None]] = {}
        config = getattr(model, "config", None)
        tied = bool(getattr(config, "tie_word_embeddings", False))
        for name, tensor in model.named_parameters():
            owner = next((p for p in self._layers if name.startswith(f"{p}.")), None)
            part = "" if owner is None else name.removeprefix(f"{owner}.")
            if ".original_module." in name or (owner and part[:11] != "base_layer."):
                continue
            if tied and ".head." in name:  # a float32 copy of the embeddings
                continue
            plain = name.replace(".base_layer.", ".")
            plain = plain.replace(".modules_to_save.default.", ".")
            adapted = owner if part == "base_layer.weight" else None
            self._tensors[plain] = (tensor, adapted)

    def __getitem__(self, name: str) -> Weight:
        tensor, owner = self._tensors[name]
        return Weight(tensor, None if owner is None else self._delta(owner))

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def adapted(self) -> list[str]:
        """Names of the weights that an adapter adds to."""
        return [name for name, (_, owner) in self._tensors.items() if owner]

    def obstacle(self) -> str | None:
        """Why what the adapters add is not known, if it is not."""
        for layer in self._layers.values():
            if not hasattr(layer, "get_delta_weight") or getattr(
                layer, "lora_variant", None
            ):
                return f"an adapter with layers of class {type(layer).__name__}"
        return None

    def dtypes(self) -> tuple[str, ...]:
        """Dtypes of the tensors, the most frequent first."""
        found = Counter(tensor.dtype for tensor, _ in self._tensors.values())
        return tuple(name_of(dtype) for dtype, _ in found.most_common())

    def _delta(self, owner: str) -> Tensor:
        layer = self._layers[owner]
        parts = [layer.get_delta_weight(name).float() for name in layer.active_adapters]
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
