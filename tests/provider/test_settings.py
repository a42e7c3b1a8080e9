"""Every GenerateConfig field is honoured, Inspect's own, or refused by name."""

from typing import Any

import pytest
from inspect_ai.model import GenerateConfig, ResponseSchema
from inspect_ai.util import JSONSchema

from inspect_lda.errors import LDAError
from inspect_lda.options import ModelOptions
from inspect_lda.seeds import choice_seed, derive_seed
from inspect_lda.settings import (
    DEFAULT_MAX_TOKENS,
    HONOURED,
    INSPECTS_OWN,
    Settings,
    read_config,
)


def settings(**config: Any) -> Settings:
    return read_config(GenerateConfig(**config), ModelOptions())


def test_our_field_names_are_inspects() -> None:
    assert set(GenerateConfig.model_fields) >= HONOURED | INSPECTS_OWN
    assert not HONOURED & INSPECTS_OWN


def test_defaults() -> None:
    got = settings()
    assert got.max_tokens == DEFAULT_MAX_TOKENS
    assert (got.alpha, got.choices, got.top_logprobs) == (1.0, 1, None)
    assert vars(got.sampling) == {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "seed": 0,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "logit_bias": {},
    }


def test_fields_reach_the_sampling() -> None:
    got = settings(
        temperature=0,
        top_p=0.9,
        top_k=5,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        logit_bias={3: -100},
        extra_body={"lda": {"alpha": 0.5, "min_p": 0.1, "evidence": "summary"}},
        stop_seqs=["."],
        logprobs=True,
        top_logprobs=20,
        num_choices=3,
        max_tokens=7,
    )
    assert got.sampling.temperature == 0
    assert (got.sampling.top_p, got.sampling.top_k) == (0.9, 5)
    assert got.sampling.frequency_penalty == 0.5
    assert got.sampling.presence_penalty == -0.5
    assert (got.sampling.min_p, got.sampling.logit_bias) == (0.1, {3: -100})
    assert (got.alpha, got.evidence, got.stop) == (0.5, "summary", (".",))
    assert (got.top_logprobs, got.choices, got.max_tokens) == (20, 3, 7)


@pytest.mark.parametrize(
    ("model", "request_", "size"),
    [
        (None, {}, 0),
        (None, {"support": 5}, 5),
        (20, {}, 20),
        (20, {"support": None}, 20),
        (20, {"support": "full"}, 0),
        (20, {"support": 30, "score": {"target": "x"}}, 30),
    ],
)
def test_the_support_of_a_request_goes_before_that_of_the_model(
    model: int | None, request_: dict[str, Any], size: int
) -> None:
    config = GenerateConfig(extra_body={"lda": request_})
    assert read_config(config, ModelOptions(support=model)).support == size


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("best_of", 2),
        ("prompt_logprobs", 1),
        ("fallback_models", ["x"]),
        ("verbosity", "low"),
        ("effort", "low"),
        ("reasoning_effort", "low"),
        ("reasoning_mode", "pro"),
        ("reasoning_tokens", 10),
        ("reasoning_summary", "auto"),
        (
            "response_schema",
            ResponseSchema(name="x", json_schema=JSONSchema(type="object")),
        ),
        ("extra_headers", {"a": "b"}),
        ("modalities", ["image"]),
    ],
)
def test_unsupported_fields_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(LDAError, match=rf"{field}=.* cannot honour") as error:
        settings(**{field: value})
    assert "temperature" in str(error.value)  # what would be honoured


def test_every_other_field_is_refused() -> None:
    """A field that a later Inspect adds is refused too, until we know it."""

    class Later(GenerateConfig):
        brand_new: int | None = None

    with pytest.raises(LDAError, match="brand_new=1"):
        read_config(Later(brand_new=1), ModelOptions())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": float("inf")}, "temperature=inf"),
        ({"temperature": 1e-40}, "temperature=1e-40"),
        ({"temperature": 1e39}, r"temperature=1e\+39"),
        ({"top_p": 0}, "top_p=0"),
        ({"top_p": 1.1}, "top_p=1.1"),
        ({"top_k": -1}, "top_k=-1"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"num_choices": 0}, "num_choices=0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**63}, "seed=9223372036854775808"),
        ({"frequency_penalty": 3}, "frequency_penalty=3"),
        ({"logit_bias": {-1: 1}}, "token id -1"),
        ({"logit_bias": {1: 101}}, r"logit_bias\[1\]=101"),
        ({"stop_seqs": [""]}, "empty string"),
        ({"top_logprobs": 3}, "needs logprobs=True"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs=21"),
    ],
)
def test_values_out_of_range_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(LDAError, match=message):
        settings(**config)


def test_a_score_needs_the_whole_distribution() -> None:
    body = {"lda": {"score": {"target": "a"}}}
    with pytest.raises(LDAError, match=r"top_p set.*top_p=1"):
        settings(extra_body=body, top_p=0.9)
    assert settings(extra_body=body, top_p=1, top_k=0, temperature=0.7).score


def test_seeds() -> None:
    assert choice_seed(7, 0) == 7
    assert len({choice_seed(7, i) for i in range(50)}) == 50
    assert len({choice_seed(None, 0) for _ in range(50)}) == 50
    assert derive_seed(1, "a", 2) == 488432346098884
    assert derive_seed(1, "a", 2) != derive_seed(1, "a", 3)
