"""Pairs on several devices, as far as a machine without a GPU can run them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForCausalLM

from inspect_lda.engines.composite import AmplifiedLM
from tests.engines.reference import argmax, reference_decode
from tests.engines.requests import PROMPTS
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

IDS = torch.tensor([[5, 9, 33, 12]])


class Moves(TorchFunctionMode):
    """Notes when a tensor is sent to a device."""

    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self._events = events

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch.Tensor.to and isinstance(args[-1], torch.device):
            self._events.append(f"to {args[-1].type}")
        return func(*args, **(kwargs or {}))


def watched(model: nn.Module, name: str, events: list[str]) -> None:
    model.register_forward_pre_hook(lambda *_: events.append(name))


def test_nothing_moves_between_the_two_forwards() -> None:
    events: list[str] = []
    after: Any = tiny_model(seed=1)
    before: Any = tiny_model(seed=2)
    before.to("meta")
    for model, name in ((after, "after"), (before, "before")):
        # Other kernels read the mask, and a meta mask holds no values.
        model.set_attn_implementation("eager")
        watched(model, name, events)
    pair = AmplifiedLM(before, after)
    cache: Any = pair.new_cache()
    mask = torch.ones_like(IDS)
    # Meta tensors hold no numbers, so the move back is where it ends.
    with torch.no_grad(), Moves(events), pytest.raises(NotImplementedError):
        pair.halves(cache, input_ids=IDS, attention_mask=mask, use_cache=True)
    first, second = events.index("after"), events.index("before")
    assert events[:first] == ["to meta"] * 2
    assert "to meta" not in events[first:second]
    assert events[-1] == "to cpu"
    places = [layer.keys.device.type for layer in cache.layers]
    assert places == ["cpu", "cpu", "meta", "meta"]


def test_logits_meet_on_the_device_of_after() -> None:
    after: Any = tiny_model(seed=1)
    before: Any = tiny_model(seed=2)
    after.to("meta")
    model = AmplifiedLM(before, after)
    seen: list[torch.device] = []
    before.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(kwargs["input_ids"].device), with_kwargs=True
    )
    with torch.no_grad():
        both = model.halves(None, input_ids=IDS)
    assert [one.device.type for one in both] == ["meta", "meta"]
    assert seen[0].type == "cpu"
    assert model.device.type == "meta"


@pytest.fixture
def spread(tmp_path: Path) -> Any:
    """Makes models whose parts accelerate holds in several places.

    Without a GPU those are memory and disk; the hooks on every part, which move what a
    part needs to where it runs, are those that `device=balanced` gets.
    """

    def make(seed: int) -> Any:
        home = tmp_path / str(seed)
        save_checkpoint(home, tiny_model(seed=seed), tiny_tokenizer())
        parts = ("embed_tokens", "layers.0", "norm", "rotary_emb")
        places = {f"model.{part}": "cpu" for part in parts}
        places |= {"lm_head": "cpu", "model.layers.1": "disk"}
        model = AutoModelForCausalLM.from_pretrained(
            home, device_map=places, offload_folder=home / "offload"
        )
        assert model.model.layers[1].mlp.up_proj.weight.device.type == "meta"
        return model.eval()

    return make


def test_models_in_several_places_decode_the_same(spread: Any) -> None:
    model: Any = AmplifiedLM(spread(2), spread(1))
    model.generation_config.eos_token_id = None
    output = model.generate(
        input_ids=torch.tensor([PROMPTS[1]]),
        alpha=1.5,
        max_new_tokens=9,
        do_sample=False,
    )
    expected = reference_decode(
        tiny_model(seed=1), tiny_model(seed=2), PROMPTS[1], 1.5, 9, argmax
    )
    assert output[0, len(PROMPTS[1]) :].tolist() == expected
