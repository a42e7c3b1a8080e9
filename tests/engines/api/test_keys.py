"""Keys go to one host and are printed nowhere; addresses hold none."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from benchmarks.llama_server import Served, serve
from inspect_lda.engines.api.address import Address
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import EndpointError, EndpointUnavailable
from inspect_lda.engines.api.keys import after_key, before_key
from inspect_lda.errors import LDAError
from tests.served.gguf_files import Pair
from tests.served.proxy import FaultProxy
from tests.served.servers import NO_PEER

KEY = "sk-very-secret"
LOCAL = Address.parse("http://localhost:8000")


@pytest.fixture(scope="module")
def guarded(text_files: Pair) -> Iterator[Served]:
    """A server that wants a key."""
    pytest.importorskip("xllamacpp", reason=NO_PEER)
    with serve(text_files.after.gguf, "guarded", api_key=KEY) as served:
        yield served


async def test_the_key_opens_and_nothing_else_is_sent(
    guarded: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-openai")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-openai")
    with FaultProxy(guarded.root) as proxy:
        endpoint = Endpoint(proxy.url, "guarded", key=SecretStr(KEY))
        answer = await endpoint.post("/tokenize", {"content": "a"})
        head = proxy.asked[0].head.decode().lower()
    assert answer["tokens"]
    assert f"authorization: bearer {KEY}" in head
    assert "openai-" not in head
    assert "-of-openai" not in head


async def test_without_a_key_none_is_sent_and_the_way_out_is_named(
    guarded: Served,
) -> None:
    with FaultProxy(guarded.root) as proxy:
        endpoint = Endpoint(proxy.url, "guarded")
        with pytest.raises(EndpointError, match=r"HTTP 401.*set LDA_API_KEY"):
            await endpoint.post("/tokenize", {"content": "a"})
        assert len(proxy.asked) == 1
        assert b"authorization" not in proxy.asked[0].head.lower()


async def test_a_key_that_comes_back_is_not_printed(guarded: Served) -> None:
    message = {"role": "user", "content": f"my key is {KEY}{' x' * 200}"}
    with FaultProxy(guarded.root, {"cut json": 1.0}) as proxy:
        endpoint = Endpoint(proxy.url, "guarded", key=SecretStr(KEY), retries=0)
        with pytest.raises(EndpointUnavailable, match="my key is") as raised:
            await endpoint.post("/apply-template", {"messages": [message]})
    assert KEY not in str(raised.value)
    assert KEY not in f"{endpoint!r} {vars(endpoint)}"


def test_keys_by_side_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    together = Address.parse("https://api.together.xyz/v1")
    assert after_key(LOCAL) is None
    monkeypatch.setenv("TOGETHER_API_KEY", "of-together")
    assert after_key(LOCAL) is None
    assert shown(after_key(together)) == "of-together"
    monkeypatch.setenv("LDA_API_KEY", "of-after")
    assert shown(after_key(together)) == "of-after"
    assert shown(after_key(together, "argument")) == "argument"
    assert shown(before_key(LOCAL, LOCAL)) == "of-after"
    assert shown(before_key(together, LOCAL, "argument")) == "of-together"
    assert before_key(Address.parse("http://other:1"), LOCAL, "argument") is None
    monkeypatch.setenv("LDA_BEFORE_API_KEY", "of-before")
    assert shown(before_key(LOCAL, LOCAL, "argument")) == "of-before"


def shown(key: SecretStr | None) -> str | None:
    """The secret."""
    return None if key is None else key.get_secret_value()


@pytest.mark.parametrize(
    ("url", "base", "own"),
    [
        ("http://a:8000", "http://a:8000/v1", "http://a:8000/props"),
        ("http://a:8000/v1/", "http://a:8000/v1", "http://a:8000/props"),
        ("https://a/x/v1", "https://a/x/v1", "https://a/x/props"),
        ("http://[::1]:80/v1", "http://[::1]/v1", "http://[::1]/props"),
        ("https://A.example/beta", "https://a.example/beta", None),
    ],
)
def test_addresses(url: str, base: str, own: str | None) -> None:
    address = Address.parse(url)
    assert address.base == base
    assert address.url("models") == f"{base}/models"
    assert own is None or address.url("/props") == own


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://a",
        "http://",
        "http://a:port",
        "file:///etc/passwd",
        f"http://user:{KEY}@a/v1",
        f"http://a/v1?key={KEY}",
        f"http://a/v1#{KEY}",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(LDAError, match="Allowed: ") as raised:
        Address.parse(url)
    assert KEY not in str(raised.value)
