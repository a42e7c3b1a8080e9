"""Two checkpoints that agree in some tensors hold those once.

Fine-tuning often freezes embeddings or lower layers, and a full checkpoint repeats them
byte for byte. Held once they cost no second copy, and engines that look for shared
tensors find the layers that need to run once.
"""

import torch
from torch import Tensor
from transformers import PreTrainedModel

_WIDTHS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def share_equal(fresh: PreTrainedModel, held: PreTrainedModel) -> tuple[int, int]:
    """Let the tensors of one model that equal another's be the other's.

    Args:
        fresh: A model that nothing runs on yet: where its tensors equal those of the
            same name in `held`, byte for byte and on the same device, they change
            their memory.
        held: Any other model; it stays as it is.

    Returns:
        The bytes that are held once now, and all bytes of `fresh`.
    """
    theirs = held.state_dict(keep_vars=True)
    ours = fresh.state_dict(keep_vars=True)
    # A tied tensor has two names and is one object.
    tensors = {id(tensor): (name, tensor) for name, tensor in reversed(ours.items())}
    shared = 0
    for name, tensor in tensors.values():
        other = theirs.get(name)
        if other is None or not _same_bytes(tensor, other):
            continue
        # Through `data`, so that ties within `fresh` stay.
        tensor.data = other.data
        shared += tensor.nbytes
    return shared, sum(tensor.nbytes for _, tensor in tensors.values())


def _same_bytes(ours: Tensor, theirs: Tensor) -> bool:
    comparable = (
        ours.shape == theirs.shape
        and ours.dtype == theirs.dtype
        and ours.device == theirs.device
        and ours.device.type != "meta"
    )
    # Integers of the same width: 0.0 equals -0.0, and NaN does not equal itself.
    width = _WIDTHS.get(ours.element_size())
    return (
        comparable
        and width is not None
        and torch.equal(ours.detach().view(width), theirs.detach().view(width))
    )
