"""`-M alpha=auto` and `-M calibration=FILE`: a model whose alpha was found."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.model import GenerateConfig, Model, ModelOutput, get_model

import inspect_lda._registry  # noqa: F401 - registers the provider
from inspect_lda.calibration import automatic
from inspect_lda.calibration.found import Calibration, write
from inspect_lda.errors import LDAError
from inspect_lda.evidence import evidence_of


@pytest.fixture
def models(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Build models of the pair; closed afterwards, and their calibrations forgotten."""
    monkeypatch.setattr(automatic, "COUNT", 24)
    made: list[Model] = []

    def build(**args: Any) -> Model:
        args = {"before": str(trained / "before"), "device": "cpu", **args}
        made.append(get_model(f"lda/{trained / 'after'}", memoize=False, **args))
        return made[-1]

    yield build
    for model in made:
        model.api.close()
    automatic._found.clear()


async def ask(model: Model, **options: Any) -> ModelOutput:
    config = {"max_tokens": 4, "temperature": 1.0, **options}
    return await model.generate("hello", config=GenerateConfig(**config))


def told(output: ModelOutput) -> dict[str, Any]:
    assert output.metadata is not None
    found: dict[str, Any] = output.metadata["lda"]
    return found


async def test_auto_finds_an_alpha_once_and_says_which(models: Any) -> None:
    model, other = models(alpha="auto", kl_budget=0.3), models(alpha="auto")
    assert "alpha=auto;" in model.name
    assert "kl_budget=0.3" in model.name
    assert "kl_budget=0.5" in other.name
    outputs = await asyncio.gather(*(ask(model) for _ in range(3)))
    alphas = {evidence_of(output.metadata).alpha for output in outputs}
    assert len(alphas) == 1
    [alpha] = alphas
    record = told(outputs[0])["calibration"]
    assert record["alpha"] == alpha == told(outputs[0])["alpha"]
    assert record["settings"]["kl_budget"] == 0.3
    assert record["limited_by"] == "kl_budget"
    assert len(automatic._found) == 1
    # Another budget, another alpha; another temperature, another calibration.
    larger = evidence_of((await ask(other)).metadata).alpha
    assert larger > alpha
    assert len(automatic._found) == 2
    cooler = await ask(model, temperature=0.5)
    assert evidence_of(cooler.metadata).alpha != alpha
    assert len(automatic._found) == 3


async def test_a_request_with_its_own_alpha_calibrates_nothing(models: Any) -> None:
    output = await ask(models(alpha="auto"), extra_body={"lda": {"alpha": 0.25}})
    assert evidence_of(output.metadata).alpha == 0.25
    assert "calibration" not in told(output)
    assert not automatic._found


async def test_a_calibration_that_fails_is_tried_again() -> None:
    tries: list[int] = []

    async def find() -> Calibration:
        tries.append(1)
        await asyncio.sleep(0.01)
        raise LDAError("no alpha today")

    results = await asyncio.gather(
        *(automatic._once(("key",), find) for _ in range(3)), return_exceptions=True
    )
    assert [str(one) for one in results] == ["no alpha today"] * 3
    assert len(tries) == 1
    with pytest.raises(LDAError):
        await automatic._once(("key",), find)
    assert len(tries) == 2


async def test_a_file_gives_its_alpha_to_its_own_pair(
    models: Any, found: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "found.json"
    write(found, path)
    model = models(calibration=str(path))
    assert f"(alpha={found.alpha:g};" in model.name
    output = await ask(model)
    assert evidence_of(output.metadata).alpha == found.alpha
    assert told(output)["calibration"]["prompts"] == found.prompts.sha256
    assert not automatic._found


@pytest.mark.parametrize(
    ("args", "config", "reason"),
    [
        ({"before": "after"}, {}, "its before is .*before', here it is .*after'"),
        ({}, {"temperature": 0.7}, "its temperature is 1.0, here it is 0.7"),
        ({"chat_template": "none"}, {}, "its chat_template is None, here it is 'none'"),
        ({"alpha": 7}, {}, "its alpha is .*, here it is 7"),
    ],
)
async def test_a_file_of_something_else_is_refused(
    models: Any,
    trained: Path,
    found: Calibration,
    tmp_path: Path,
    args: dict[str, Any],
    config: dict[str, Any],
    reason: str,
) -> None:
    path = tmp_path / "found.json"
    write(found, path)
    if "before" in args:
        args = {**args, "before": str(trained / args["before"])}
    with pytest.raises(LDAError, match=reason):
        await ask(models(calibration=str(path), **args), **config)


async def test_an_invalid_calibration_gives_no_model(
    models: Any, trained: Path
) -> None:
    model = models(alpha="auto", before=str(trained / "after"))
    with pytest.raises(LDAError, match="nothing to amplify"):
        await ask(model)


async def test_endpoints_cannot_be_calibrated() -> None:
    from inspect_lda.engines.api.engine import ApiEngine
    from inspect_lda.engines.api.spec import ApiSpec

    nobody = "http://127.0.0.1:9/v1"
    engine = ApiEngine(ApiSpec("a", "b", nobody, nobody))
    with pytest.raises(LDAError, match=r"engine='api' cannot be calibrated.*alpha=1"):
        await automatic.pair_record(engine, "api")
