"""Model args of engine=vllm: where they belong, how they are named, what is refused."""

from typing import Any

import pytest
from inspect_ai.model import get_model

import inspect_lda._registry  # noqa: F401 - registers the provider
from inspect_lda.calibration.guard import refuse_unmeasured
from inspect_lda.engines.api.errors import EndpointError, EndpointUnavailable
from inspect_lda.errors import LDAError
from inspect_lda.provider import LDAModelAPI

URL, OTHER = "http://one:8000/v1", "http://two:8000/v1"


def served_model(base_url: str | None = None, **args: Any) -> LDAModelAPI:
    given = {"engine": "vllm", "before": "before", **args}
    model = get_model("lda/after", base_url=base_url, memoize=False, **given)
    assert isinstance(model.api, LDAModelAPI)
    return model.api


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({}, "after(alpha=1;before=before;engine=vllm)"),
        ({"support": "full"}, "after(alpha=1;before=before;engine=vllm)"),
        (
            {"dtype": "float16", "allow_noise": True, "max_batch": 8},
            "after(alpha=1;before=before;engine=vllm;dtype=float16)",
        ),
        ({"vllm_program": "/x/vllm"}, "after(alpha=1;before=before;engine=vllm)"),
        (
            {"vllm_args": "--quantization fp8"},
            "after(alpha=1;vllm_args=--quantization fp8;before=before;engine=vllm)",
        ),
    ],
)
def test_what_changes_the_text_is_in_the_name(args: dict[str, Any], name: str) -> None:
    assert served_model(**args).model_name == name


def test_connections_and_cache_keys() -> None:
    own, both = served_model(), served_model(f"{URL}, {OTHER}")
    # The port of a server of ours changes, and what it says does not.
    assert own.base_url is None
    assert both.base_url == f"{URL},{OTHER}"
    keys = {own.connection_key(), both.connection_key()}
    keys |= {served_model(URL).connection_key()}
    keys |= {served_model(dtype="float32").connection_key()}
    assert len(keys) == 4
    assert served_model(alpha=0.5).connection_key() == own.connection_key()
    assert own.max_connections() == 256
    assert served_model(max_batch=512).max_connections() == 512


@pytest.mark.parametrize(
    ("base_url", "args", "parts"),
    [
        (None, {"device": "cuda:1"}, ["-M device=", "-M vllm_args="]),
        (None, {"memory_fraction": 0.9}, ["-M memory_fraction=", "engine=vllm"]),
        (None, {"amplify": "weights"}, ["-M amplify=", "in this process"]),
        (None, {"adapter_scale": 2}, ["-M adapter_scale="]),
        (None, {"self_test": "full"}, ["-M self_test="]),
        (None, {"max_lost_mass": 0.1}, ["only for engine=api"]),
        (None, {"tokenizer": "org/t"}, ["-M tokenizer=", "started here"]),
        (None, {"vllm_args": '--a "b'}, ["-M vllm_args=", "quotation"]),
        (URL, {"vllm_args": "-x"}, ["-M vllm_args=", "running servers"]),
        (URL, {"max_batch": 8}, ["-M max_batch=", "--model-base-url is given"]),
        ("http://u:p@x/v1", {}, ["could be a secret"]),
        (None, {"api_key": "sk-1"}, ["-M api_key", "LDA_API_KEY"]),
    ],
)
def test_refusals_name_the_way_out(
    base_url: str | None, args: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(LDAError) as error:
        served_model(base_url, **args)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize("engine", ["transformers", "api"])
def test_options_of_servers_mean_nothing_elsewhere(engine: str) -> None:
    with pytest.raises(LDAError, match=r"-M vllm_args= with .*only for engine=vllm"):
        served_model(engine=engine, vllm_args="-x")


def test_what_may_be_tried_again() -> None:
    api = served_model()
    assert not api.should_retry(EndpointError("refused", 400))
    lost = api.should_retry(EndpointUnavailable("the server ended"))
    assert not isinstance(lost, bool)
    assert lost.kind == "transient"


def test_the_noise_of_a_server_is_not_taken_for_signal() -> None:
    half = "bfloat16, head float32"
    with pytest.raises(LDAError, match=r"dtype=float32; .*check PAIR --dtype bfloat16"):
        refuse_unmeasured(half, [0.0, 0.5], allowed=False)
    refuse_unmeasured(half, [0.0, 0.5], allowed=True)
    refuse_unmeasured(half, [0.0, -0.5, -1.0], allowed=False)
    refuse_unmeasured("float32", [20.0], allowed=False)
    refuse_unmeasured(None, [20.0], allowed=False)
