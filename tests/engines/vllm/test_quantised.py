"""A pair of W8A8 checkpoints: the halves are quantised, the combination is not.

No float32 model says what int8 products give, but the two checkpoints served alone do:
their log-probabilities differ from logits by a constant a row, which amplification
turns into another constant.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engines.vllm import settings
from tests.engines.vllm.conftest import Start
from tests.engines.vllm.oracle import ALPHAS, Ask, answers, asks, compose
from tests.tiny import VOCAB, save_checkpoint, tiny_model, tiny_tokenizer

pytestmark = pytest.mark.vllm

_SCALES = {"num_bits": 8, "type": "int", "symmetric": True}
W8A8 = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {**_SCALES, "strategy": "channel", "dynamic": False},
            "input_activations": {**_SCALES, "strategy": "token", "dynamic": True},
        }
    },
}
# int8 kernels take bfloat16 on a CPU; the pair's heads are float32, so the single
# engines' must be.
OPTIONS: dict[str, Any] = {"dtype": "bfloat16"}
SINGLE: dict[str, Any] = {**OPTIONS, "hf_overrides": {"head_dtype": "float32"}}


def save_quantised(directory: Path, seed: int) -> str:
    """A tiny llama whose projections are int8 with a scale a channel."""
    model = tiny_model(seed=seed, **settings.WIDE)
    save_checkpoint(directory, model, tiny_tokenizer())
    tensors = {}
    for name, weight in load_file(directory / "model.safetensors").items():
        if "proj" not in name:
            tensors[name] = weight.bfloat16()
            continue
        scale = weight.abs().amax(1, keepdim=True) / 127
        tensors[name] = (weight / scale).round().to(torch.int8)
        tensors[f"{name}_scale"] = scale.bfloat16()
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    file = directory / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config |= {"dtype": "bfloat16", "quantization_config": W8A8}
    file.write_text(json.dumps(config), encoding="utf-8")
    return str(directory)


@pytest.fixture(scope="module")
def engines(start: Start, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The pair, and both checkpoints alone."""
    root = tmp_path_factory.mktemp("quantised")
    after, before = (
        save_quantised(root / half, i) for i, half in enumerate(("after", "before"))
    )
    written = compose(root, after, before)
    return {
        "pair": start(written.directory, **OPTIONS),
        "after": start(root / "after", **SINGLE),
        "before": start(root / "before", **SINGLE),
    }


def rows(llm: Any, asked: list[Ask]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Log-probabilities of every id as first token, `[requests, V]`."""
    outputs = answers(llm, asked, 1, listed=VOCAB)
    found = [output.outputs[0].logprobs[0] for output in outputs]
    return np.array([[row[i].logprob for i in range(VOCAB)] for row in found])


def _kinds(model: Any) -> set[tuple[str, str]]:
    """Halves and how they multiply: vLLM packs the int8 weights itself."""
    return {
        (name.partition(".")[0], type(module.scheme).__name__)
        for name, module in model.named_modules()
        if hasattr(module, "scheme")
    }


def test_both_halves_multiply_int8(engines: dict[str, Any]) -> None:
    [kinds] = engines["pair"].apply_model(_kinds)
    int8 = "CompressedTensorsW8A8Int8"
    assert kinds == {("before", int8), ("after", int8)}


def test_first_tokens_are_amplified_from_the_single_models(
    engines: dict[str, Any],
) -> None:
    prompts = [ask.prompt for ask in asks(16, seed=41)]
    after, before = (
        rows(engines[half], [Ask(one, None) for one in prompts])
        for half in ("after", "before")
    )
    for alpha in ALPHAS[1:]:
        assert alpha is not None
        amplified = after + alpha * (after - before)
        exact = amplified - np.logaddexp.reduce(amplified, axis=1, keepdims=True)
        found = rows(engines["pair"], [Ask(one, alpha) for one in prompts])
        assert np.abs(found - exact).max() < (2e-3 if alpha > 5 else 1e-3)


@pytest.mark.parametrize(("alpha", "half"), [(0.0, "after"), (-1.0, "before")])
def test_an_end_is_the_quantised_checkpoint_alone(
    engines: dict[str, Any], alpha: float, half: str
) -> None:
    prompts = [ask.prompt for ask in asks(16, seed=42)]
    pair = answers(engines["pair"], [Ask(one, alpha) for one in prompts], 16)
    alone = answers(engines[half], [Ask(one, None) for one in prompts], 16)
    for one, other in zip(pair, alone, strict=True):
        assert one.outputs[0].token_ids == other.outputs[0].token_ids
