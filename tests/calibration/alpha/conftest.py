"""A pair of tiny models that differ a little, and its calibration."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from inspect_lda.calibration.cost import Size
from inspect_lda.calibration.found import Calibration
from inspect_lda.calibration.session import Session
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

Calibrate = Callable[..., Calibration]
SMALL = {"max_tokens": 12, "temperature": 1.0}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`after`, and a `before` that is a slight change away from it."""
    root = tmp_path_factory.mktemp("trained")
    after, before = (tiny_model(seed=1, max_position_embeddings=1024) for _ in "ab")
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for one in before.parameters():
            one.add_(0.02 * one.std() * torch.randn(one.shape, generator=noise))
    for name, model in (("after", after), ("before", before)):
        save_checkpoint(root / name, model, tiny_tokenizer())
    return root


@pytest.fixture(scope="session")
def calibrate(trained: Path) -> Calibrate:
    """Calibrate that pair with settings of one's own."""

    def run(
        before: str = "before", plan: Size | None = None, **settings: Any
    ) -> Calibration:
        args = {"before": str(trained / before), "device": "cpu"}
        session = Session(str(trained / "after"), args, {**SMALL, **settings})
        return asyncio.run(session.run("builtin:everyday", 32, plan))

    return run


@pytest.fixture(scope="session")
def found(calibrate: Calibrate) -> Calibration:
    """A calibration with a plan."""
    return calibrate(plan=Size(prompts=16, epochs=1, max_tokens=16))
