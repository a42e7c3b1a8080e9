"""The one string that names prompts: what it means, and what is refused."""

import importlib.util

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompts.addresses import masked
from inspect_lda.tasks._prompts.spec import (
    Builtin,
    Hub,
    LocalFile,
    Source,
    Web,
    parse_spec,
)
from inspect_lda.tasks.prompt_sets import load_prompts

COMMIT = "89abcdef01" * 4
HASH = "0f" * 32
RAW = "https://raw.githubusercontent.com"


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("builtin:everyday", Builtin("everyday")),
        ("data/set.csv", LocalFile("data/set.csv")),
        ("~/a:b.yaml", LocalFile("~/a:b.yaml")),
        (
            f"https://host.org/a/set.csv?raw=true#sha256={HASH.upper()}",
            Web("https://host.org/a/set.csv?raw=true", HASH, None, True),
        ),
        (
            f"github:an-org/a.repo@{COMMIT.upper()}:data/my set.yaml",
            Web(f"{RAW}/an-org/a.repo/{COMMIT}/data/my%20set.yaml", None, COMMIT, True),
        ),
        (
            f"github:o/r@v1.0:x.csv#sha256={HASH}",
            Web(f"{RAW}/o/r/v1.0/x.csv", HASH, "v1.0", True),
        ),
        (
            f"hf:org/name@{COMMIT}/train[:10%]",
            Hub("org/name", COMMIT, None, "train[:10%]", True),
        ),
        (
            f"hf:org/name@{COMMIT}:hard-1k/test+train",
            Hub("org/name", COMMIT, "hard-1k", "test+train", True),
        ),
    ],
)
def test_what_specs_mean(spec: str, meant: Source) -> None:
    assert parse_spec(spec) == meant


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("https://host.org/set.csv", "Put #sha256=HEX behind"),
        ("github:o/r@main:set.csv", "full commit.*instead of 'main'"),
        ("github:o/r@feature/x:set.csv", "instead of 'feature/x'"),
        (f"github:o/r@{COMMIT[:12]}:set.csv", "40 hex digits"),
        ("hf:org/name@main/train", "branches and tags move"),
        (f"hf:org/name@{COMMIT[:-1]}:cfg/train", "40 hex digits"),
    ],
)
def test_unpinned_sources_are_refused_unless_allowed(spec: str, says: str) -> None:
    with pytest.raises(LDAError, match=f"is not pinned.*{says}.*allow_floating=true"):
        parse_spec(spec)
    with pytest.raises(LDAError, match="is not pinned"):
        load_prompts(spec)
    source = parse_spec(spec, allow_floating=True)
    assert isinstance(source, (Web, Hub))
    assert not source.pinned


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("http://host.org/set.csv", "only https"),
        ("ftp://host.org/set.csv", "only https"),
        ("s3://bucket/set.csv", "only https"),
        ("https:///set.csv#sha256=" + HASH, "names no host"),
        ("https://[::1/set.csv", "is no address"),
        ("https://host.org/set.csv#md5=0f", "sha256= and 64 hex digits"),
        (f"https://host.org/set.csv#sha256={HASH[1:]}", "64 hex digits"),
        ("github:o/r:set.csv", "OWNER/REPO@COMMIT:PATH"),
        (f"github:o/r@{COMMIT}:../other/set.csv", "from the repository's root"),
        (f"github:o/r@{COMMIT}:/set.csv", "from the repository's root"),
        ("hf:name@main/train", "ORG/NAME@COMMIT"),
        (f"hf:org/name@{COMMIT}", "ORG/NAME@COMMIT"),
        ("", "need one text"),
        (["https://a.org/b", "c"], "need one text"),
    ],
)
def test_specs_that_mean_nothing(spec: str, says: str) -> None:
    with pytest.raises(LDAError, match=says):
        parse_spec(spec, allow_floating=True)


@pytest.mark.parametrize(
    "address",
    [
        "https://me:hush5@host.org/set.csv",
        "https://hush5@host.org/set.csv",
        "https://host.org/set.csv?token=hush5",
        "https://host.org/set.csv?a=1&X-Amz-Signature=hush5",
        "https://host.org/set.csv?sv=2020&sig=hush5",
        "https://host.org/set.csv?x=hush5hush5hush5hush5",
        "https://host.org/set.csv?hush5hush5hush5hush5",
    ],
)
def test_credentials_are_refused_and_not_repeated(address: str) -> None:
    for spec in (address, f"{address}#sha256={HASH}"):
        with pytest.raises(LDAError, match="the log would keep it") as caught:
            load_prompts(spec)
        assert "hush" not in str(caught.value)
    with pytest.raises(LDAError, match="only https") as caught:
        load_prompts(address.replace("https", "http"))
    assert "hush" not in str(caught.value)


def test_masking_leaves_the_place() -> None:
    assert masked("https://a:b@host.org:8/x/y.csv?k=v#f") == (
        "https://***@host.org:8/x/y.csv?***"
    )
    assert masked("https://host.org/x@y.csv") == "https://host.org/x@y.csv"


def test_the_hub_needs_a_package() -> None:
    if importlib.util.find_spec("datasets") is not None:
        pytest.skip("datasets is installed")
    with pytest.raises(LDAError, match=r"pip install 'inspect_lda\[hub\]'"):
        load_prompts(f"hf:org/name@{COMMIT}/train")
