"""Amplification of weights: one model at `after + alpha * (after - before)`.

Where both checkpoints are one base with LoRA adapters, the difference of their weights
is that of their updates, so the extrapolated model is the base with the updates scaled:
by 1 + alpha that of `after`, by -alpha that of `before`. The tensors are those of the
pair. At alpha 0 and -1 it is the checkpoint itself.
"""

import copy
from dataclasses import replace
from typing import Any

from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedModel

from inspect_lda.checkpoints.weights import shared_copy
from inspect_lda.engines.doubled import is_plain_lora
from inspect_lda.errors import LDAError
from inspect_lda.pair import Pair

Model = PreTrainedModel | PeftModel
SECOND = "second"
"""Name of the adapter that is put beside another one."""


def extrapolated(pair: Pair, alpha: float) -> Pair:
    """The pair's model at this alpha, as both sides, which runs it once.

    Raises:
        LDAError: If the two sides do not differ by plain LoRA adapters alone.
    """
    _check(pair)
    vocabulary = replace(pair.vocabulary, shared=pair.vocabulary.allowed)
    model = _model(pair, alpha)
    return replace(pair, after=model, before=model, vocabulary=vocabulary)


def _check(pair: Pair) -> None:
    sides = (pair.after, pair.before)
    adapters = [side for side in sides if isinstance(side, PeftModel)]
    plain = bool(adapters) and all(map(is_plain_lora, adapters))
    known = pair.vocabulary
    if (
        not plain
        or _shared_tensors(pair.after) != _shared_tensors(pair.before)
        or bool((known.allowed & ~known.shared).any())
    ):
        raise LDAError(
            f"amplify: got 'weights', but {pair.after_name} and {pair.before_name} do "
            "not differ by plain LoRA adapters of one base alone (no trained "
            "embeddings, biases or whole layers, no DoRA, no added tokens). Leave "
            "amplify out: logits can be amplified for every pair."
        )


def _shared_tensors(model: Model) -> set[int]:
    parameters = model.named_parameters()
    return {tensor.data_ptr() for name, tensor in parameters if "lora_" not in name}


def _model(pair: Pair, alpha: float) -> Model:
    if alpha == 0:
        return pair.after
    if alpha == -1:
        return pair.before
    factors = ((pair.after, 1 + alpha), (pair.before, -alpha))
    [first, *others] = [one for one in factors if isinstance(one[0], PeftModel)]
    source: Any = first[0]
    tree: Any = shared_copy(source)
    _scale(tree, tree.active_adapter, first[1])
    for model, factor in others:
        _put_beside(tree, model)
        _scale(tree, SECOND, factor)
    extrapolation: PeftModel = tree.eval().requires_grad_(False)
    return extrapolation


def _put_beside(tree: Any, other: Any) -> None:
    name = other.active_adapter
    first = tree.active_adapter
    tree.add_adapter(
        SECOND, copy.deepcopy(other.peft_config[name]), autocast_adapter_dtype=False
    )
    state = get_peft_model_state_dict(
        other, adapter_name=name, save_embedding_layers=False
    )
    set_peft_model_state_dict(tree, state, adapter_name=SECOND)
    tree.base_model.set_adapter([first, SECOND])


def _scale(tree: Any, name: str, factor: float) -> None:
    for layer in tree.modules():
        if isinstance(layer, LoraLayer) and name in layer.scaling:
            layer.scaling[name] *= factor
