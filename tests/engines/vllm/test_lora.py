"""Adapters over one base: exact, and the base is held once."""

from pathlib import Path
from typing import Any

import pytest

from tests.engines.vllm import settings
from tests.engines.vllm.conftest import Start
from tests.engines.vllm.oracle import Written, answers, asks, compare, compose
from tests.pair.conftest import save_adapter
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

pytestmark = pytest.mark.vllm

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, an adapter of every layer, and one of a few with odd settings."""
    root = tmp_path_factory.mktemp("lora")
    save_checkpoint(
        root / "base", tiny_model(seed=1, **settings.WIDE), tiny_tokenizer()
    )
    save_adapter(root / "base", root / "whole", target_modules=ALL)
    save_adapter(
        root / "base",
        root / "part",
        seed=8,
        target_modules=["v_proj", "up_proj"],
        use_rslora=True,
        rank_pattern={"up_proj": 2},
        alpha_pattern={"v_proj": 24},
    )
    return root


@pytest.fixture(scope="module")
def over_base(home: Path) -> Written:
    """An adapter, compared with the base it was trained on."""
    return compose(home / "one", str(home / "whole"), None)


@pytest.fixture(scope="module")
def engine(start: Start, over_base: Written) -> Any:
    return start(over_base.directory)


def _facts(model: Any) -> tuple[int, int, set[str]]:
    """Base tensors, how many of them both halves hold as one, what else `after` has."""
    before = dict(model.before.named_parameters())
    after = dict(model.after.named_parameters())
    once = sum(after[name] is tensor for name, tensor in before.items())
    return len(before), once, {n.rpartition(".")[2] for n in after.keys() - before}


def test_an_adapter_over_its_base(engine: Any, over_base: Written) -> None:
    asked = asks(32, seed=2)
    report = compare(over_base, asked, answers(engine, asked, 16))
    assert (report.tokens, report.mismatches) == (32 * 16, 0)
    assert report.error < 1e-3
    assert report.extreme_error < 2e-3


def test_the_base_is_held_once(engine: Any) -> None:
    [(tensors, once, own)] = engine.apply_model(_facts)
    assert tensors == once > 10
    assert own == {"lda_a", "lda_b"}


def test_two_adapters_over_one_base(start: Start, home: Path) -> None:
    written = compose(home / "two", str(home / "whole"), str(home / "part"))
    asked = asks(16, seed=4)
    report = compare(written, asked, answers(start(written.directory), asked, 12))
    assert (report.tokens, report.mismatches) == (16 * 12, 0)
    assert report.error < 1e-3
