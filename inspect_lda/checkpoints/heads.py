"""Heads that compute in float32 over a body of lower precision.

A body in bfloat16 rounds its logits to 8 bits, and amplification multiplies what was
rounded away. The head's weights are copied to float32, so that its sum over the hidden
states and the logits are float32; the hidden states keep the body's rounding.
"""

import copy
import logging
from collections.abc import Mapping
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from inspect_lda.checkpoints.sides import Side
from inspect_lda.checkpoints.weights import shared_copy
from inspect_lda.errors import LDAError

logger = logging.getLogger(__name__)

_PLAIN = (torch.float32, torch.float16, torch.bfloat16)


class Float32Head(nn.Module):
    """A head in float32, whatever the dtype of the hidden states.

    Args:
        head: The head, with whatever an adapter put around it, in float32.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    @property
    def weight(self) -> Tensor:
        """The weight of the head itself, `[V, d]`."""
        weight: Any = self.head.weight
        return torch.as_tensor(weight)

    def forward(self, states: Tensor) -> Tensor:
        """Logits `[..., V]` of hidden states `[..., d]`."""
        logits: Tensor = self.head(states.float())
        return logits


def float32_copies(
    model: PreTrainedModel, side: Side, known: Mapping[int, nn.Parameter]
) -> dict[int, nn.Parameter]:
    """Float32 copies of the parameters of a model's head, by their address.

    They are held beside the head itself, which other pairs may run with: 4 bytes a
    weight more.

    Args:
        model: A base.
        side: Whose base it is, for error messages.
        known: Copies of another model's head; what is the same memory is not copied
            again.

    Raises:
        LDAError: If the model has no head, or a quantised one.
    """
    head: nn.Module | None = model.get_output_embeddings()
    parameters = [] if head is None else list(head.parameters())
    if not parameters or not all(one.dtype in _PLAIN for one in parameters):
        what = "no head of its own" if head is None else f"a {type(head).__name__}"
        raise LDAError(
            f"head_dtype: got float32, but {side.base.name} ({side.argument}) has "
            f"{what}, which can not be copied to float32. Leave head_dtype out."
        )
    copies = {one.data_ptr(): _wide(one, known) for one in parameters}
    fresh = [one for address, one in copies.items() if address not in known]
    if fresh:
        logger.info(
            "the head of %s is held in float32 too: %.1f MB more",
            side.base.name,
            sum(one.nbytes for one in fresh) / 1e6,
        )
    return copies


def with_float32_head(
    model: PreTrainedModel | PeftModel, copies: Mapping[int, nn.Parameter]
) -> PreTrainedModel | PeftModel:
    """The model with a head that computes in float32.

    Put on last, over ties and adapters: a tied head is a copy of the input table as it
    is now, and an adapter of the head computes in float32 with it.

    Args:
        model: A base, of which a second module tree is made; or a PeftModel, whose tree
            is its own and is changed.
        copies: Parameters that other models have copied too (see `float32_copies`).
    """
    if isinstance(model, PeftModel):
        tree: Any = model.get_base_model()
    else:
        model = tree = shared_copy(model)
    head = tree.get_output_embeddings()
    wide: dict[int, Any] = {id(one): _wide(one, copies) for one in head.parameters()}
    tree.set_output_embeddings(Float32Head(copy.deepcopy(head, wide)))
    return model


def _wide(parameter: nn.Parameter, known: Mapping[int, nn.Parameter]) -> nn.Parameter:
    if (found := known.get(parameter.data_ptr())) is not None:
        return found
    return nn.Parameter(parameter.detach().float(), requires_grad=False)
