"""Safety nets at the door: with the model, with a request, in the name and the log."""

import math
from typing import Any

import pytest
from inspect_ai.model import GenerateConfig

from inspect_lda.engines.base import NO_NETS, Nets
from inspect_lda.errors import LDAError
from inspect_lda.evidence import evidence_of
from inspect_lda.options import ModelOptions, model_name, read_model
from inspect_lda.request_options import read_request
from inspect_lda.settings import read_config
from tests.provider.conftest import MakeModel, ask
from tests.provider.facts import facts, lda

STEPS = ((0, 1.0), (5, 0.3))


@pytest.mark.parametrize(
    ("args", "nets", "written"),
    [
        ({}, NO_NETS, ""),
        ({"max_kl_per_token": "1e0"}, Nets(max_kl_per_token=1.0), "max_kl_per_token=1"),
        ({"soft_threshold": 0.5}, Nets(soft_threshold=0.5), "soft_threshold=0.5"),
        ({"kl_gate": 0.05}, Nets(kl_gate=0.05), "kl_gate=0.05"),
        ({"plausibility": 1e-3}, Nets(plausibility=1e-3), "plausibility=0.001"),
        ({"first_k": "10"}, Nets(first_k=10), "first_k=10"),
        (
            {"alpha_schedule": "1@0/0.3@5"},
            Nets(alpha_schedule=STEPS),
            "alpha_schedule=1@0/0.3@5",
        ),
        (
            {"alpha_schedule": "0.5@0"},
            Nets(alpha_schedule=((0, 0.5),)),
            "alpha_schedule=0.5@0",
        ),
        (
            {
                "max_kl_per_token": "off",
                "soft_threshold": 0,
                "kl_gate": 0,
                "plausibility": 0,
                "first_k": "off",
                "alpha_schedule": "off",
            },
            NO_NETS,
            "",
        ),
    ],
)
def test_model_args_are_read_and_named(
    args: dict[str, Any], nets: Nets, written: str
) -> None:
    after, options = read_model("org/after", args)
    assert options.nets() == nets
    name = model_name(after, options)
    assert name == f"org/after(alpha=1{';' if written else ''}{written})"
    assert read_model(name, {})[1].nets() == nets
    assert read_model(name, args)[1].nets() == nets


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        ({"max_kl_per_token": 0}, ["=0", "nothing could be", "off"]),
        ({"max_kl_per_token": -1}, ["=-1", "above 0"]),
        ({"max_kl_per_token": "inf"}, ["not finite", "off"]),
        ({"soft_threshold": -0.1}, ["=-0.1", "from 0 (off)"]),
        ({"kl_gate": "off"}, ["'off'", "not a number", "from 0 (off)"]),
        ({"plausibility": 1.5}, ["=1.5", "from 0 (off) to 1"]),
        ({"first_k": 0}, ["=0", "a whole number from 1"]),
        ({"alpha_schedule": "1:0"}, ["'1:0'", "FACTOR@POSITION"]),
        ({"alpha_schedule": "1@3"}, ["first position has to be 0"]),
        ({"alpha_schedule": "1@0/0.5@0"}, ["positions have to ascend"]),
        ({"alpha_schedule": "1@0/2@5"}, ["factors go from 0 to 1"]),
        ({"alpha_schedule": [[0, 1], [5]]}, ["a pair of position and factor"]),
        ({"alpha_schedule": 0.5}, ["a float is no schedule"]),
        ({"alpha_schedule": "x@0"}, ["not a number"]),
        ({"alpha_schedule": []}, ["first position has to be 0"]),
    ],
)
def test_refusals_say_what_is_allowed(args: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(LDAError) as error:
        read_model("org/after", args)
    with pytest.raises(LDAError) as other:
        read_request({"lda": args})
    (key,) = args
    assert f"-M {key}=" in str(error.value)
    assert f'extra_body["lda"]["{key}"]=' in str(other.value)
    for part in (*parts, "Allowed"):
        assert part in str(error.value)
        assert part in str(other.value)


def test_a_request_changes_what_it_names_and_no_more() -> None:
    model = ModelOptions(max_kl_per_token=1.0, first_k=4)
    wanted = {"max_kl_per_token": "off", "alpha_schedule": [[0, 1], [5, 0.3]]}
    got = read_config(GenerateConfig(extra_body={"lda": wanted}), model)
    assert got.nets == Nets(math.inf, first_k=4, alpha_schedule=STEPS)
    assert read_config(GenerateConfig(), model).nets == Nets(1.0, first_k=4)


async def test_nets_and_a_support_reach_the_log(make: MakeModel) -> None:
    wanted = lda(soft_threshold=0.1, support=30, alpha_schedule=[[0, 1.0], [2, 0.0]])
    model = make(alpha=2, max_kl_per_token=0.05)
    output = await ask(model, seed=3, extra_body=wanted)
    evidence = evidence_of(output.metadata)
    assert evidence.support is not None
    assert (evidence.support.k, evidence.support.exact) == (30, True)
    assert evidence.nets is not None
    assert evidence.nets.settings["max_kl_per_token"] == 0.05
    assert evidence.nets.settings["alpha_schedule"] == ((0, 1.0), (2, 0.0)) or (
        evidence.nets.settings["alpha_schedule"] == [[0, 1.0], [2, 0.0]]
    )
    assert evidence.nets.steps["alpha_schedule"] == evidence.n_tokens - 2
    assert 0 < evidence.nets.alpha_mean < 2 * 2 / evidence.n_tokens
    assert evidence.lower_bound is False
    by_arg = await ask(make(alpha=2, support=30, max_kl_per_token=0.05), seed=3)
    assert evidence_of(by_arg.metadata).support is not None


async def test_a_score_says_what_it_was_taken_under(make: MakeModel) -> None:
    asked = lda(
        score={"target": "the", "alphas": [0, 4]}, support=50, max_kl_per_token=0.05
    )
    score = facts(await ask(make(), extra_body=asked))["score"]
    assert score["support"] == 50
    assert score["nets"] == {"max_kl_per_token": 0.05}
    whole = lda(score={"target": "the", "alphas": [0, 4]}, support=50)
    free = facts(await ask(make(), extra_body=whole))["score"]
    assert free["log_prob"][0] == score["log_prob"][0]
    assert free["log_prob"][1] != score["log_prob"][1]
