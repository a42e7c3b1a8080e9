"""PEFT adapters on a second module tree over shared base tensors."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from inspect_lda.checkpoints.explain import explain
from inspect_lda.checkpoints.placement import Placement
from inspect_lda.checkpoints.sides import Side
from inspect_lda.checkpoints.source import Checkpoint
from inspect_lda.checkpoints.weights import quiet, shared_copy
from inspect_lda.errors import LDAError

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."


def with_adapter(
    base: PreTrainedModel, side: Side, placement: Placement, scale: float = 1.0
) -> PeftModel:
    """`base` with the side's adapter: unmerged, in eval mode, base tensors shared.

    Unmerged because merging into half precision would round most of a small adapter
    away, and because the base itself must stay `before`.

    Args:
        base: Loaded base model; it is left as it is.
        side: The side whose adapter is put on.
        placement: How the base is held; the adapter follows.
        scale: Multiplies the adapter's LoRA scaling.

    Raises:
        LDAError: If the adapter is missing, damaged, or of another base.
    """
    adapter = side.adapter
    if adapter is None:
        raise ValueError("with_adapter needs a side with an adapter")
    path = _weights_file(adapter, side.argument)
    shapes = _shapes(path, side.argument)
    tree = shared_copy(base)
    try:
        with quiet():
            _own_what_it_overwrites(tree, shapes)
            model = PeftModel.from_pretrained(
                tree,
                str(path.parent),
                autocast_adapter_dtype=False,
                torch_device=str(tree.device),
            )
            expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    except Exception as error:
        raise _translated(error, side, adapter, placement) from error
    _check_keys(shapes, expected, side)
    _rescale(model, scale, side)
    loaded: PeftModel = model.eval().requires_grad_(False)
    return loaded


def _weights_file(adapter: Checkpoint, argument: str) -> Path:
    path = adapter.file(WEIGHTS)
    if path is None:
        raise LDAError(
            f"{argument}: the adapter {adapter.name} has no {WEIGHTS}. Save it again "
            "with PeftModel.save_pretrained (pickled .bin adapters are not loaded)."
        )
    return path


def _shapes(path: Path, argument: str) -> dict[str, list[int]]:
    """Names and shapes in the file; reading the header shows whether it is whole."""
    try:
        with safe_open(path, framework="pt") as file:
            names: Iterable[str] = file.keys()
            return {name: file.get_slice(name).get_shape() for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise LDAError(
            f"{argument}: corrupt adapter file {path} ({error}). Copy or download it "
            "again."
        ) from error


def _own_what_it_overwrites(
    tree: PreTrainedModel, shapes: Mapping[str, list[int]]
) -> None:
    """Give the tree its own copy of base tensors that the adapter file replaces.

    Trained biases or saved embeddings are copied into the base parameters in place,
    which here are also those of `before`.
    """
    parameters = dict(tree.named_parameters())
    stored = {_base_name(name): shape for name, shape in shapes.items()}
    replaced = {name: parameters[name] for name in stored if name in parameters}
    table: Any = tree.get_input_embeddings().weight
    rows = next((stored[n][0] for n, p in replaced.items() if p is table), None)
    if rows is not None and rows != table.shape[0]:
        # Tokens were added in training: the resized tables are new tensors.
        tree.resize_token_embeddings(rows, mean_resizing=False)
        parameters = dict(tree.named_parameters())
        fresh = {name for name in replaced if parameters[name] is not replaced[name]}
        replaced = {n: p for n, p in replaced.items() if n not in fresh}
    for name, parameter in replaced.items():
        parent, _, leaf = name.rpartition(".")
        own = torch.nn.Parameter(parameter.detach().clone(), requires_grad=False)
        setattr(tree.get_submodule(parent), leaf, own)
    if replaced:
        tree.tie_weights()


def _base_name(name: str) -> str:
    """Name in the base model of a tensor in an adapter file."""
    return name.removeprefix(_PREFIX).replace(".base_layer.", ".")


def _check_keys(
    shapes: Mapping[str, list[int]], expected: Mapping[str, torch.Tensor], side: Side
) -> None:
    """Peft fills missing tensors at random and drops surplus ones without an error."""
    missing = sorted(expected.keys() - shapes.keys())
    surplus = sorted(
        name for name in shapes.keys() - expected.keys() if "lora_" in name
    )
    if missing or surplus:
        name = (missing or surplus)[0]
        what = "has no tensors for" if missing else "has tensors without a place:"
        raise _another_base(side, f"it {what} '{_base_name(name)}'")


def _rescale(model: PeftModel, scale: float, side: Side) -> None:
    if scale == 1.0:
        return
    layers = [one for one in model.modules() if isinstance(one, LoraLayer)]
    if not layers:
        raise LDAError(
            f"adapter_scale: got {scale}, but {side.name} is not a LoRA adapter. Leave "
            "adapter_scale out."
        )
    for layer in layers:
        layer.scale_layer(scale)


def _translated(
    error: Exception, side: Side, adapter: Checkpoint, placement: Placement
) -> LDAError:
    text = str(error)
    if "size mismatch" in text:
        detail = next(one.strip() for one in text.split("\n") if "size mismatch" in one)
        return _another_base(side, detail)
    if "not found in the base model" in text:
        return _another_base(side, text)
    return explain(
        error,
        side.argument,
        adapter,
        dtype=placement.dtype,
        device=placement.device,
    )


def _another_base(side: Side, detail: str) -> LDAError:
    adapter = side.adapter.name if side.adapter else side.name
    return LDAError(
        f"{side.argument}: {adapter} is an adapter of another base than "
        f"{side.base.name}: {detail}. Give the base that its adapter_config.json "
        "records (base_model_name_or_path)."
    )
