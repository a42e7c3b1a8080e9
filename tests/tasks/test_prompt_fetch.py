"""Downloads, from a real https server on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompts import spec as specs
from inspect_lda.tasks._prompts.cache import digest
from inspect_lda.tasks._prompts.fetch import Limits, fetch
from inspect_lda.tasks.prompt_sets import load_prompts
from tests.tasks.webserver import Handler, WebServer, endless, redirect, serving

SET = b"id,input\na,Which bird sings first?\nb,Where do eels go?\n"
OTHER = SET.replace(b"eels", b"bees")
COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    with serving(tmp_path, monkeypatch) as server:
        server.routes["/set.csv"] = SET
        yield server


def kept(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "prompts").glob("*"))


def test_a_pinned_file_is_fetched_once(web: WebServer, tmp_path: Path) -> None:
    spec = f"{web.url('/set.csv')}#sha256={digest(SET).upper()}"
    first, second = load_prompts(spec), load_prompts(spec)
    assert first.content == second.content
    assert [prompt.id for prompt in first.content.prompts] == ["a", "b"]
    assert first.record["sha256"] == digest(SET)
    assert first.record["floating"] is False
    assert (len(web.asked), len(kept(tmp_path))) == (1, 1)


def test_the_same_bytes_at_another_address_are_known(web: WebServer) -> None:
    load_prompts(f"{web.url('/set.csv')}#sha256={digest(SET)}")
    load_prompts(f"{web.url('/mirror/set.csv')}#sha256={digest(SET)}")
    assert web.asked == ["/set.csv"]


def test_a_changed_byte_is_refused(web: WebServer, tmp_path: Path) -> None:
    web.routes["/set.csv"] = OTHER
    with pytest.raises(LDAError, match="not the file that was pinned") as caught:
        load_prompts(f"{web.url('/set.csv')}#sha256={digest(SET)}")
    assert digest(SET) in str(caught.value)
    assert digest(OTHER) in str(caught.value)
    assert kept(tmp_path) == []


def test_a_damaged_copy_is_fetched_again(web: WebServer, tmp_path: Path) -> None:
    spec = f"{web.url('/set.csv')}#sha256={digest(SET)}"
    load_prompts(spec)
    [copy] = kept(tmp_path)
    copy.write_bytes(OTHER)
    assert len(load_prompts(spec).content.prompts) == 2
    assert len(web.asked) == 2
    assert copy.read_bytes() == SET


def test_a_cache_that_cannot_be_written_stops_nobody(
    web: WebServer, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file, where a folder is wanted", "utf-8")
    spec = f"{web.url('/set.csv')}#sha256={digest(SET)}"
    assert len(load_prompts(spec).content.prompts) == 2


def test_a_floating_file_is_never_kept(web: WebServer, tmp_path: Path) -> None:
    first = load_prompts(web.url("/set.csv"), allow_floating=True)
    web.routes["/set.csv"] = OTHER
    second = load_prompts(web.url("/set.csv"), allow_floating=True)
    assert first.sha256 != second.sha256 == digest(OTHER)
    assert second.record["floating"] is True
    assert kept(tmp_path) == []


def test_github_is_fetched_by_commit(
    web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(specs, "RAW", web.url(""))
    spec = f"github:some/repo@{COMMIT}:data/my set.csv"
    web.routes[f"/some/repo/{COMMIT}/data/my%20set.csv"] = SET
    for _ in range(2):
        found = load_prompts(spec)
    assert (found.content.id, found.record["revision"]) == ("my set", COMMIT)
    assert (len(web.asked), len(kept(tmp_path))) == (1, 1)
    web.routes["/some/repo/main/data/set.csv"] = SET
    moving = load_prompts("github:some/repo@main:data/set.csv", allow_floating=True)
    assert (moving.record["revision"], moving.record["floating"]) == ("main", True)
    assert len(kept(tmp_path)) == 1


def test_redirects_lead_to_other_hosts_but_not_out_of_https(web: WebServer) -> None:
    web.routes["/moved"] = redirect(web.url("/set.csv", host="127.0.0.1"))
    assert fetch(web.url("/moved")) == SET
    bare = web.url("/set.csv?token=a1b2").replace("https", "http")
    web.routes["/open"] = redirect(bare)
    with pytest.raises(LDAError, match="only https is followed") as caught:
        fetch(web.url("/open"))
    assert "a1b2" not in str(caught.value)
    web.routes["/round"] = redirect(web.url("/round"))
    with pytest.raises(LDAError, match="too many redirects"):
        fetch(web.url("/round"))
    web.routes["/file"] = redirect("file:///etc/hostname")
    with pytest.raises(LDAError, match="302"):
        fetch(web.url("/file"))


def test_what_the_server_refuses(web: WebServer) -> None:
    with pytest.raises(LDAError, match="404 Not Found; check owner, repository"):
        fetch(web.url("/none.csv"))
    web.routes["/private"] = lambda handler: handler.answer({}, status=403)
    with pytest.raises(LDAError, match="403 Forbidden; it wants a login"):
        fetch(web.url("/private"))


def test_too_much(web: WebServer) -> None:
    few = Limits(size=1000)
    web.routes["/declared"] = lambda handler: handler.answer({"Content-Length": "1001"})
    web.routes["/endless"] = endless(pause=0)
    for path in ("/declared", "/endless"):
        with pytest.raises(LDAError, match="larger than 1000 bytes"):
            fetch(web.url(path), few)
    web.routes["/exact"] = b"x" * 1000
    assert len(fetch(web.url("/exact"), few)) == 1000


def test_too_little_and_too_slowly(web: WebServer) -> None:
    web.routes["/short"] = lambda handler: handler.answer({"Content-Length": "9"}, b"a")
    with pytest.raises(LDAError, match="ended after 1 of 9 bytes"):
        fetch(web.url("/short"))
    web.routes["/drip"] = endless(pause=0.02)
    with pytest.raises(LDAError, match=r"longer than 0\.1 s"):
        fetch(web.url("/drip"), Limits(total=0.1))
    web.routes["/silent"] = endless(pause=5)
    with pytest.raises(LDAError, match="fell silent"):
        fetch(web.url("/silent"), Limits(idle=0.2))


def test_compressed_answers_have_another_hash(web: WebServer) -> None:
    def zipped(handler: Handler) -> None:
        handler.answer({"Content-Encoding": "gzip", "Content-Length": "1"}, b"x")

    web.routes["/zipped"] = zipped
    with pytest.raises(LDAError, match="gzip-compressed"):
        fetch(web.url("/zipped"))


def test_servers_that_cannot_be_trusted_or_reached(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(LDAError, match="cannot be found"):
        fetch("https://no-such-host.invalid/set.csv")
    with serving(tmp_path, monkeypatch) as gone:
        address = gone.url("/set.csv")
    with pytest.raises(LDAError, match="refused"):
        fetch(address)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(LDAError, match=r"not trusted.*SSL_CERT_FILE"):
        fetch(web.url("/set.csv"))
