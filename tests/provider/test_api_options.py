"""Model args of engine=api: what they are, where they belong, how they are named."""

import sys
from typing import Any

import pytest
from inspect_ai.model import get_model

import inspect_lda._registry  # noqa: F401 - registers the provider
from inspect_lda.engines import create_engine
from inspect_lda.engines.api.errors import EndpointError, EndpointUnavailable
from inspect_lda.engines.api.spec import ApiSpec
from inspect_lda.errors import LDAError
from inspect_lda.options import model_name, read_model
from inspect_lda.provider import LDAModelAPI

URL = "http://localhost:8000/v1"
OTHER = "http://localhost:8001/v1"


def api_model(
    name: str = "after", base_url: str | None = URL, **args: Any
) -> LDAModelAPI:
    given = {"engine": "api", "before": "before", **args}
    model = get_model(f"lda/{name}", base_url=base_url, memoize=False, **given)
    assert isinstance(model.api, LDAModelAPI)
    return model.api


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({}, "after(alpha=1;before=before;engine=api)"),
        ({"support": 20}, "after(alpha=1;before=before;engine=api)"),
        ({"support": "full"}, "after(alpha=1;before=before;engine=api;support=full)"),
        (
            {"before_base_url": OTHER},
            "after(alpha=1;before_base_url=http%3A//localhost%3A8001/v1;before=before;"
            "engine=api)",
        ),
        ({"missing": "floor"}, "after(alpha=1;missing=floor;before=before;engine=api)"),
        ({"draft": "8"}, "after(alpha=1;draft=8;before=before;engine=api)"),
        ({"dialect": "vllm", "price_in": 1}, "after(alpha=1;before=before;engine=api)"),
    ],
)
def test_what_changes_the_text_is_in_the_name(args: dict[str, Any], name: str) -> None:
    api = api_model(**args)
    assert api.model_name == name
    again = api_model(name, engine=api.options.engine, before="before")
    assert again.model_name == name
    assert again.options.support_size == api.options.support_size
    for kept in ("missing", "draft", "before_base_url", "max_lost_mass"):
        assert getattr(again.options, kept) == getattr(api.options, kept)


def test_servers_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    one = api_model()
    assert one.base_url == URL
    assert api_model(base_url="http://localhost:8000").base_url == URL
    two = api_model(before_base_url=OTHER)
    keys = {one.connection_key(), two.connection_key()}
    keys |= {api_model(base_url=OTHER).connection_key()}
    assert len(keys) == 3
    assert api_model(alpha=0.5).connection_key() == one.connection_key()
    assert one.max_connections() == 10
    monkeypatch.setenv("LDA_BASE_URL", OTHER)
    assert api_model(base_url=None).base_url == OTHER


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        ({"dtype": "float32"}, ["-M dtype=", "engine=api", "in this process"]),
        ({"device": "cpu", "max_batch": 4}, ["-M device=, -M max_batch=", "Leave"]),
        ({"adapter_scale": 2}, ["-M adapter_scale="]),
        ({"before": None}, ["-M before= is missing", "engine=api"]),
        ({"before_base_url": "localhost"}, ["-M before_base_url='localhost'", "http"]),
        ({"before_base_url": "http://u:p@x/v1"}, ["could be a secret", "LDA_API_KEY"]),
        ({"missing": "guess"}, ["-M missing='guess'", "error, floor"]),
        ({"draft": 1}, ["-M draft=1", "auto, 0 (token by token)"]),
        ({"draft": "many"}, ["-M draft='many'", "auto"]),
        ({"max_lost_mass": 2}, ["-M max_lost_mass=2", "from 0 to 1"]),
        ({"before_top_k": 0}, ["-M before_top_k=0", "from 1"]),
        ({"audit_every": -1}, ["-M audit_every=-1", "0 for never"]),
        ({"price_in": -1}, ["-M price_in=-1", "million"]),
        ({"support": 0}, ["-M support=0"]),
        ({"api_key": "sk-1"}, ["-M api_key", "LDA_API_KEY", "LDA_BEFORE_API_KEY"]),
    ],
)
def test_refusals_name_the_way_out(args: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(LDAError) as error:
        api_model(**args)
    for part in parts:
        assert part in str(error.value)
    assert "sk-1" not in str(error.value)
    assert "u:p" not in str(error.value)


def test_an_address_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LDA_BASE_URL", raising=False)
    with pytest.raises(LDAError, match=r"--model-base-url .* LDA_BASE_URL"):
        api_model(base_url=None)


@pytest.mark.parametrize(
    "args",
    [
        {"before_base_url": OTHER},
        {"draft": 4},
        {"max_lost_mass": 0.1},
        {"missing": "floor"},
    ],
)
def test_options_of_endpoints_mean_nothing_elsewhere(args: dict[str, Any]) -> None:
    with pytest.raises(LDAError, match="engine=transformers: only for engine=api"):
        read_model("org/after", {"before": "org/before", **args})


def test_a_plain_name_is_as_before() -> None:
    after, options = read_model("org/after", {"before": "org/b"})
    assert model_name(after, options) == "org/after(alpha=1;before=org/b)"


def test_what_may_be_tried_again() -> None:
    api = api_model()
    assert not api.should_retry(EndpointError("no such model", 404))
    assert not api.should_retry(ValueError("x"))
    lost = api.should_retry(EndpointUnavailable("gone"))
    assert lost
    busy = api.should_retry(
        EndpointUnavailable("busy", 429, rate_limited=True, retry_after=3.0)
    )
    assert not isinstance(lost, bool)
    assert not isinstance(busy, bool)
    assert (lost.kind, busy.kind) == ("transient", "rate_limit")
    assert busy.retry_after == 3.0


async def test_the_extra_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(LDAError, match=r"'openai'.*inspect_lda\[api\]"):
        create_engine("api", ApiSpec("a", "b", URL, URL))
