"""What two models say, and which memory they say it from."""

from typing import Any

import torch

IDS = torch.tensor([[2, 10, 11, 12, 40, 41]])


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def pointers(model: Any) -> set[int]:
    return {one.data_ptr() for one in model.parameters()}
