"""The self-test at load, and what the provider refuses."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from inspect_ai.model import Model, get_model

import inspect_lda._registry  # noqa: F401 - registers the provider
from inspect_lda.calibration import guard
from inspect_lda.errors import LDAError
from inspect_lda.options import read_model
from inspect_lda.pair import PairSpec, load_pair
from tests.calibration.conftest import Shelf
from tests.provider.conftest import ask
from tests.provider.facts import facts, lda

Make = Callable[..., Model]


@pytest.fixture
def make(shelf: Shelf) -> Iterator[Make]:
    models: list[Model] = []

    def build(after: str = "base", before: str = "base", **args: Any) -> Model:
        args = {
            "device": "cpu",
            "max_batch": 4,
            "before": getattr(shelf, before),
        } | args
        args["before"] = str(args["before"])
        name = f"lda/{getattr(shelf, after)}"
        models.append(get_model(name, memoize=False, **args))
        return models[-1]

    yield build
    for model in models:
        model.api.close()


async def test_an_identity_pair_in_bfloat16_is_refused(make: Make) -> None:
    model = make(dtype="bfloat16", alpha=20)
    with pytest.raises(LDAError) as error:
        await ask(model)
    for part in (
        "alpha=20",
        "differ by no more than rounding",
        "In bfloat16",
        "amplified by 20",
        "allow_noise=true",
    ):
        assert part in str(error.value)
    plain = await ask(model, extra_body=lda(alpha=0))
    assert facts(plain)["noise"] == {
        "self_test": "quick",
        "passed": True,
        "honest_alpha": None,
        "noise_tv": 0.0,
        "honest": True,
        "allowed": False,
    }


async def test_allowed_noise_is_told_in_every_log(make: Make) -> None:
    model = make(dtype="bfloat16", alpha=20, allow_noise=True)
    found = facts(await ask(model))["noise"]
    assert (found["honest"], found["allowed"], found["passed"]) == (False, True, True)
    assert found["noise_tv"] > 0.05
    assert found["honest_alpha"] is None


async def test_alphas_of_requests_and_scores_count(make: Make) -> None:
    model = make("other", dtype="bfloat16", alpha=0.5)
    honest = facts(await ask(model))["noise"]["honest_alpha"]
    assert 0.5 < honest < 200
    for alpha in (0.9 * honest, -1 - 0.9 * honest):
        found = facts(await ask(model, extra_body=lda(alpha=alpha)))["noise"]
        assert found["honest"]
        assert 0 < found["noise_tv"] <= 0.055
    for alpha in (1.1 * honest, -1 - 1.1 * honest):
        with pytest.raises(LDAError, match=r"alpha up to .*-M dtype=float32"):
            await ask(model, extra_body=lda(alpha=alpha))
    score = {"target": "the", "alphas": [0, 2 * honest]}
    with pytest.raises(LDAError, match="largest honest alpha"):
        await ask(model, extra_body=lda(score=score))
    scored = facts(await ask(model, extra_body=lda(score={**score, "alphas": [0, 1]})))
    assert scored["noise"]["honest"]


async def test_off_means_off(make: Make) -> None:
    found = facts(await ask(make(dtype="bfloat16", alpha=20, self_test="off")))["noise"]
    assert found["self_test"] is None
    assert found["passed"] is None


async def test_a_pair_is_tested_once_and_anew_in_full(
    make: Make, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "inspect_lda")
    first, second = (make("other", "base_half", alpha=a) for a in (1, 2))
    for model in (first, second, first):
        assert facts(await ask(model))["noise"]["honest_alpha"] == 1000
    assert caplog.text.count("self-test (quick") == 1
    full = make("other", "base_half", self_test="full")
    assert facts(await ask(full))["noise"]["self_test"] == "full"
    assert caplog.text.count("self-test (full") == 1
    pair = load_pair(PairSpec(str(shelf.other), str(shelf.base_half), device="cpu"))
    assert sorted(level for level, _ in guard._tests[pair]) == ["full", "quick"]


async def test_a_pair_whose_identities_fail_is_refused(
    make: Make, shelf: Shelf
) -> None:
    model = make("other", "merged_weak", alpha=0.5)
    spec = PairSpec(str(shelf.other), str(shelf.merged_weak), device="cpu")
    pair: Any = load_pair(spec)
    calls = []

    def drift(_: Any, __: Any, logits: Any) -> Any:
        calls.append(1)
        return logits * (1 + 0.5 * len(calls))

    # A model that remembers its calls is another one at every call.
    hook = pair.before.lm_head.register_forward_hook(drift)
    with pytest.raises(LDAError, match=r"self-test failed .*alpha -1 is `before`"):
        await ask(model)
    hook.remove()


def test_yaml_reads_off_as_false() -> None:
    assert read_model("org/after", {"self_test": False})[1].self_test == "off"
    assert read_model("org/after", {})[1].self_test == "quick"
    with pytest.raises(LDAError, match="off, quick or full"):
        read_model("org/after", {"self_test": "slow"})
    name = read_model("org/after", {"allow_noise": True, "self_test": "full"})[1]
    assert set(name.name_parts()) == {"alpha"}
