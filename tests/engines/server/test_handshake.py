"""A server that is not the pair is refused, whatever it answers."""

import json

import pytest

from inspect_lda import __version__
from inspect_lda.checkpoints.block import HalfBlock
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.server.handshake import (
    check_same,
    described,
    error_of,
    model_at,
)
from inspect_lda.engines.server.spec import ServerSpec
from inspect_lda.engines.vllm.describe import (
    DESCRIBE_KEY,
    Served,
    answer_describe,
    end_ids,
    public,
    read_described,
)
from inspect_lda.errors import LDAError
from tests.served.servers import ServedPair

SERVED = Served(
    version=__version__,
    after=HalfBlock(model="org/a", revision="abc1", architecture="X"),
    before=HalfBlock(model="org/b", architecture="X"),
    ids="1",
    masked_ids=0,
    eos_ids=(2,),
    dtype="bfloat16",
    context_length=128,
)


async def test_a_plain_server_is_refused(needle_served: ServedPair) -> None:
    served = needle_served.after
    endpoint = Endpoint(served.url, "", retries=0)
    endpoint.model = await model_at(endpoint)
    assert endpoint.model == served.model
    with pytest.raises(LDAError, match=r"no checkpoint pair: it would ignore alpha"):
        await described(endpoint, (5, 6))
    endpoint.close()


def test_a_description_survives_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = SERVED.model_dump_json(exclude_none=True)
    monkeypatch.setenv("INSPECT_LDA_SERVED", text)
    answer_describe({"lda_alpha": 1.0})
    with pytest.raises(ValueError, match=DESCRIBE_KEY) as refusal:
        answer_describe({DESCRIBE_KEY: 1})
    # What vLLM puts around the text of a refusal.
    assert read_described(f"{refusal.value} (parameter=x)") == SERVED
    assert SERVED.precision == "bfloat16, head float32"
    assert read_described("unknown argument") is None
    assert read_described(f"{DESCRIBE_KEY}: {json.dumps({'version': 1})}") is None


@pytest.mark.parametrize(
    ("spec", "served", "words"),
    [
        (ServerSpec("org/c", "org/b"), {}, "after is 'org/a@abc1' there, and 'org/c'"),
        (ServerSpec("org/a", "org/c"), {}, "before is 'org/b' there"),
        (ServerSpec("org/a@ff", "org/b"), {}, "after is 'org/a@abc1' there"),
        (ServerSpec("org/a", "org/b", dtype="float32"), {}, "dtype is 'bfloat16'"),
        (ServerSpec("org/a", "org/b"), {"version": "9"}, "inspect_lda is '9' there"),
    ],
)
def test_another_pair_is_refused(
    spec: ServerSpec, served: dict[str, str], words: str
) -> None:
    with pytest.raises(LDAError, match=words):
        check_same(SERVED.model_copy(update=served), spec, None, "http://x")


def test_the_pair_by_its_names() -> None:
    for after, before in (("org/a", "org/b"), ("org/a@abc", None)):
        check_same(SERVED, ServerSpec(after, before), None, "http://x")


def test_no_path_leaves_the_server() -> None:
    half = HalfBlock(model="/data/a", adapter="/data/b/lora", architecture="X")
    named = public(half)
    assert "/" not in named.model_dump_json()
    assert named == public(half) != public(half.model_copy(update={"model": "/x/a"}))
    assert public(SERVED.after) == SERVED.after
    served = SERVED.model_copy(update={"after": named})
    check_same(served, ServerSpec("/data/b/lora", "org/b"), None, "http://x")
    with pytest.raises(LDAError, match="after is 'lora#"):
        check_same(served, ServerSpec("/data/c/lora", "org/b"), None, "http://x")


def test_ids_that_end_a_turn() -> None:
    assert end_ids({"eos_token_id": [3, 5]}) == (3, 5)
    assert end_ids({"eos_token_id": 3}) == (3,)
    assert end_ids({}) == ()


def test_amplification_is_seen() -> None:
    after, before = [-0.5, -1.5, -2.5], [-2.0, -1.0, -0.7]
    for alpha in (0.5, 0.0, -1.0, 3.0):
        mixed = [a + alpha * (a - b) for a, b in zip(after, before, strict=True)]
        norm = 7.0  # normalisation moves all of them alike
        top = [
            (i, q - norm, a, b)
            for i, (q, a, b) in enumerate(zip(mixed, after, before, strict=True))
        ]
        assert error_of(top, alpha) < 1e-9
        assert error_of(top, alpha + 0.1) > 0.1
    assert error_of([], 1.0) == float("inf")
