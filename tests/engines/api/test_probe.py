"""What the probe finds on the real server, and on it behind a proxy that lies."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from inspect_lda.cli import main
from inspect_lda.engines.api.detect import identify
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import EndpointError, EndpointUnavailable
from inspect_lda.engines.api.fingerprint import fingerprint
from inspect_lda.engines.api.probe import probe, verdict
from tests.engines.api.asking import asked
from tests.served.gguf_files import CONTEXT
from tests.served.proxy import FaultProxy, Rewrite
from tests.served.servers import ServedPair

Answer = dict[str, Any]


def each_list(change: Callable[[list[Answer]], list[Answer]]) -> Rewrite:
    """Changes every list of most likely tokens on its way back."""

    def rewrite(request: Answer, answer: Answer) -> Answer:
        for one in answer if isinstance(answer, list) else [answer]:
            for step in one.get("completion_probabilities", ()):
                step["top_logprobs"] = change(step["top_logprobs"])
        return answer

    return rewrite


def at_most(n: int) -> Rewrite:
    """A server whose lists are short."""
    return each_list(lambda listed: listed[:n])


def scaled(request: Answer, answer: Answer) -> Answer:
    """A server that lists what the temperature makes of the distribution."""
    temperature = request.get("temperature", 1.0)

    def sharpen(listed: list[Answer]) -> list[Answer]:
        values = [one["logprob"] / temperature for one in listed]
        total = math.log(sum(map(math.exp, values)))
        pairs = zip(listed, values, strict=True)
        return [{**one, "logprob": value - total} for one, value in pairs]

    return answer if temperature == 1.0 else each_list(sharpen)(request, answer)


async def test_llama_cpp_is_found_exact(text_pair: ServedPair) -> None:
    able = await probe(Endpoint(text_pair.after.url, "tiny-after"))
    assert (able.dialect, able.exact, able.problems) == ("llamacpp", True, ())
    assert able.max_top is None
    assert able.vocabulary == len(text_pair.pair.tokenizer)
    assert able.context_length == CONTEXT
    assert able.token_ids
    assert able.many_prompts
    assert able.drafts
    assert able.raw
    assert (able.scores_ids, able.prompt_logprobs, able.amplifies) == (0, False, False)
    assert able.noise < 1e-5
    assert verdict(able) == "exact"
    assert (able.server or "").startswith("llama.cpp")


@pytest.mark.parametrize("limit", [7, 20, 63])
async def test_the_limit_of_lists_is_found(text_pair: ServedPair, limit: int) -> None:
    with FaultProxy(text_pair.after.root, rewrite=at_most(limit)) as proxy:
        able = await probe(Endpoint(proxy.url, "tiny-after"))
        assert able.max_top == limit
        assert able.exact
        assert "neither the whole vocabulary" in " ".join(able.problems)
        async with asked(proxy.url, "tiny-after") as wire:
            with pytest.raises(EndpointError, match=f"at most {limit} most likely"):
                await wire.top([(2, 40)], limit + 1)


async def test_values_at_another_temperature_are_noticed(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root, rewrite=scaled) as proxy:
        able = await probe(Endpoint(proxy.url, "tiny-after"))
        assert not able.raw
        assert able.exact
        assert "change with temperature" in " ".join(able.problems)
        async with asked(proxy.url, "tiny-after") as wire:
            draft = await wire.draft((2, 40), 4, k=20, temperature=0.5, seed=3)
        async with asked(text_pair.after.url, "tiny-after") as wire:
            prefixes = [(2, 40, *draft.tokens[:i]) for i in range(len(draft.tokens))]
            plain = await wire.top(prefixes, 20)
        for one, two in zip(draft.listings, plain, strict=True):
            assert list(one.logprobs.values())[:20] == pytest.approx(
                list(two.logprobs.values()), abs=2e-5
            )


@pytest.mark.parametrize(
    ("rewrite", "said"),
    [
        (each_list(lambda listed: []), "without log-probabilities"),
        (each_list(lambda listed: listed[::-1]), "not in order"),
        (each_list(lambda listed: [listed[0]] * len(listed)), "names a token twice"),
        (
            each_list(lambda listed: [{**o, "id": o["id"] + 5000} for o in listed]),
            "outside the vocabulary",
        ),
        (
            each_list(lambda listed: [{**o, "logprob": 0.5} for o in listed]),
            "log-probability of token",
        ),
        (
            each_list(lambda listed: [{**o, "logprob": -0.5} for o in listed]),
            "sum to",
        ),
        (lambda request, answer: {"said": "hello"}, "cannot tokenise"),
    ],
)
async def test_wrong_answers_are_named(
    text_pair: ServedPair, rewrite: Rewrite, said: str
) -> None:
    with FaultProxy(text_pair.after.root, rewrite=rewrite) as proxy:
        able = await probe(Endpoint(proxy.url, "tiny-after"))
        assert not able.exact
        assert said in verdict(able)
        assert f"tiny-after at {proxy.url}" in verdict(able)


async def test_another_model_is_not_taken_for_the_one_named(
    text_pair: ServedPair,
) -> None:
    with pytest.raises(
        EndpointError, match=r"does not serve it\. Served are: tiny-after"
    ):
        await identify(Endpoint(text_pair.after.url, "tiny-before"))


async def test_a_replaced_model_is_noticed(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root) as proxy:
        async with asked(proxy.url, "tiny-after") as wire:
            first = await fingerprint(wire)
            again = await fingerprint(wire)
            first.require_same(again, wire.endpoint)
            assert first.change(again) < 1e-5
            proxy.target = text_pair.before.root
            now = await fingerprint(wire)
            with pytest.raises(EndpointError, match=r"not the model.*changed by \d"):
                first.require_same(now, wire.endpoint)


async def test_nobody_there(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root) as proxy:
        url = proxy.url
    with pytest.raises(EndpointUnavailable, match="connection failed"):
        await probe(Endpoint(url, "tiny-after", retries=0))


def run(*arguments: str) -> Result:
    """The command as a user types it."""
    return CliRunner().invoke(main, ["probe", *arguments], env={"COLUMNS": "100"})


def test_the_command_prints_a_table_or_json(text_pair: ServedPair) -> None:
    done = run(text_pair.after.root, "tiny-after")
    assert done.exit_code == 0, done.output
    assert "the whole vocabulary" in done.output
    assert done.output.rstrip().endswith("LDA: exact")
    done = run(text_pair.after.root, "tiny-after", "--json")
    assert json.loads(done.output)["dialect"] == "llamacpp"


@pytest.mark.parametrize(
    ("dialect", "why"),
    [
        ("openai-chat", "cannot be continued from given tokens"),
        ("together", "prompts are text only"),
        ("ollama", "prompts are text only"),
        ("tgi", "maintenance mode"),
    ],
)
def test_what_can_not_be_exact_says_why(
    text_pair: ServedPair, dialect: str, why: str
) -> None:
    done = run(text_pair.after.root, "tiny-after", "--dialect", dialect)
    assert done.exit_code == 1
    assert "not possible, because" in done.output
    assert why in done.output


def test_bad_input_is_one_line() -> None:
    done = run("localhost", "m")
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "URL='localhost' is not an address" in done.output
    done = run("http://localhost:1", "m", "--dialect", "lamacpp")
    assert "did you mean 'llamacpp'" in done.output
    done = run("http://localhost:1", "m", "--api-key-env", "NO_SUCH_VARIABLE")
    assert "this variable is not set" in done.output
