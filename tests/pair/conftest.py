"""Checkpoints on disk, written once for all tests of the pair."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from inspect_lda.pair import clear_registry
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


@dataclass(frozen=True)
class Shelf:
    """Read-only checkpoints: a test that damages one copies it first."""

    before: Path
    after: Path
    adapter: Path
    other_adapter: Path


def save_adapter(base: Path, target: Path, seed: int = 7, **settings: Any) -> Path:
    """A LoRA adapter with random B, so that it changes the logits."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options: dict[str, Any] = {
            "r": 4,
            "target_modules": ["q_proj", "v_proj"],
            "init_lora_weights": False,
            "task_type": "CAUSAL_LM",
            **settings,
        }
        get_peft_model(model, LoraConfig(**options)).save_pretrained(str(target))
    return target


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    home = tmp_path_factory.mktemp("shelf")
    before = save_checkpoint(home / "before", tiny_model(seed=1), tiny_tokenizer())
    return Shelf(
        before=before,
        after=save_checkpoint(home / "after", tiny_model(seed=2), tiny_tokenizer()),
        adapter=save_adapter(before, home / "adapter"),
        other_adapter=save_adapter(before, home / "other_adapter", seed=8),
    )


@pytest.fixture(autouse=True, scope="module")
def _fresh_registry() -> Iterator[None]:
    yield
    clear_registry()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """The hub is never asked; returns a builder of cached repositories.

    The layout is the hub cache's own: refs name commits, snapshots hold the files.
    """
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))

    def snapshot(repo: str, commit: str = "c0ffee" + "0" * 34) -> Path:
        home = cache / f"models--{repo.replace('/', '--')}"
        (home / "refs").mkdir(parents=True, exist_ok=True)
        (home / "refs" / "main").write_text(commit)
        (home / "refs" / "step-20").write_text(commit)
        folder = home / "snapshots" / commit
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    return snapshot
