"""Devices and attention kernels: what is refused before weights are read."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from inspect_lda.checkpoints.placement import check_attention, resolve_devices
from inspect_lda.errors import LDAError
from inspect_lda.pair import PairSpec, load_pair
from tests.pair.conftest import Shelf
from tests.pair.looking import logits
from tests.pair.refusing import refusal


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says it has two GPUs; enough for what is refused by name."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_both_on_one_device_by_default(shelf: Shelf) -> None:
    assert resolve_devices("cpu", None) == ("cpu", "cpu")
    apart = PairSpec(
        str(shelf.after), str(shelf.before), device="cpu", before_device="cpu"
    )
    plain = PairSpec(str(shelf.after), str(shelf.before), device="cpu")
    assert load_pair(apart).before is load_pair(plain).before
    assert torch.equal(logits(load_pair(apart).after), logits(load_pair(plain).after))


@pytest.mark.usefixtures("two_gpus")
def test_two_devices() -> None:
    assert resolve_devices("cuda:1", "cuda") == ("cuda:1", "cuda:0")
    assert resolve_devices("auto", "cuda:1") == ("cuda:0", "cuda:1")
    assert resolve_devices("balanced", "balanced") == ("balanced", "balanced")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("device", "before_device", "parts"),
    [
        ("cuda:0", "cuda:2", ["before_device: 'cuda:2' is not available", "2 CUDA"]),
        ("cuda:0", "gpu", ["before_device: got 'gpu'", "Allowed: auto, cpu"]),
        ("balanced", "cuda:0", ["before_device: got 'cuda:0'", "-M device=cuda:1"]),
        ("cuda:0", "balanced", ["before_device: got 'balanced'", "over all GPUs"]),
        ("cuda:0", "cpu", ["before_device: got 'cpu'", "two kinds round differently"]),
    ],
)
def test_devices_that_do_not_go_together(
    device: str, before_device: str, parts: list[str]
) -> None:
    with pytest.raises(LDAError) as error:
        resolve_devices(device, before_device)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("after", ["adapter", "before"])
def test_weights_that_are_held_once_are_in_one_place(shelf: Shelf, after: str) -> None:
    path: Path = getattr(shelf, after)
    text = refusal(
        PairSpec(str(path), str(shelf.before), device="cuda:1", before_device="cuda:0")
    )
    assert text.startswith("before_device: got 'cuda:0' with after on cuda:1")
    assert "held once. Leave before_device out" in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bogus", "attn_implementation='bogus' is unknown; Allowed: eager"),
        ("sdap", "did you mean 'sdpa'"),
        (
            "flash_attention_2",
            "CUDA devices alone, but device=cpu. Allowed here: eager",
        ),
        ("kernels-community/flash-attn2", "CUDA devices alone"),
    ],
)
def test_attention_that_can_not_run_here(
    shelf: Shelf, name: str, expected: str
) -> None:
    spec = PairSpec(
        str(shelf.after), str(shelf.before), device="cpu", attn_implementation=name
    )
    text = refusal(spec)
    assert text.startswith("attn_implementation")
    assert expected in text


def test_flash_attention_needs_half_precision() -> None:
    check_attention("flash_attention_2", "float16", ("cuda:0",))
    with pytest.raises(LDAError, match=r"dtype=float32\. Give -M dtype=float16"):
        check_attention("flash_attention_2", "float32", ("cuda:0",))


@pytest.mark.skipif(find_spec("kernels") is not None, reason="`kernels` is installed")
def test_a_kernel_whose_package_is_missing(shelf: Shelf) -> None:
    spec = PairSpec(
        str(shelf.after),
        str(shelf.before),
        device="cpu",
        attn_implementation="kernels-community/none-such",
    )
    text = refusal(spec)
    assert "attn_implementation" in text
    assert "leave -M attn_implementation= out" in text


@pytest.mark.parametrize("name", ["eager", "sdpa"])
def test_the_name_reaches_both_models(shelf: Shelf, name: str) -> None:
    pair = load_pair(
        PairSpec(
            str(shelf.after), str(shelf.before), device="cpu", attn_implementation=name
        )
    )
    for model in (pair.after, pair.before):
        assert model.config._attn_implementation == name
