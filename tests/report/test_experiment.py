"""Logs that cannot be one experiment, or none at all, are refused by name."""

from typing import Any

import pytest
from inspect_ai.log import EvalLog

from inspect_lda.errors import LDAError
from inspect_lda.report.experiment import experiment_of
from inspect_lda.report.own_rate import own_rate, own_rate_of
from inspect_lda.report.rate_lines import rate_headline
from tests.report.swept import edited


def test_a_log_without_tokens_is_refused(log: EvalLog) -> None:
    bare = edited(log, per_token=None)
    with pytest.raises(LDAError, match=r"another.eval, sample .+ holds sums only"):
        experiment_of([bare])
    assert "Own rate: not estimated." in str(own_rate_of(bare))
    for sample in bare.samples or ():
        sample.output.metadata = None
    with pytest.raises(LDAError, match="carries no LDA evidence"):
        experiment_of([bare])
    nothing = log.model_copy(update={"samples": []})
    with pytest.raises(LDAError, match="no scored rollout of a sweep"):
        experiment_of([nothing])


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        ("temperature", {"temperature": 0.7}),
        ("sampling", {"sampling": {"top_p": 0.9}}),
        ("precision", {"precision": "float16"}),
    ],
)
def test_settings_that_differ_are_refused(
    log: EvalLog, name: str, evidence: dict[str, Any]
) -> None:
    with pytest.raises(LDAError, match=rf"differ in {name}: .+ give logs that agree"):
        experiment_of([log, edited(log, **evidence)])


def test_pairs_that_differ_are_refused(log: EvalLog) -> None:
    other = edited(log)
    for sample in other.samples or ():
        if sample.output.metadata:
            sample.output.metadata["lda"]["before"] = "another"
    with pytest.raises(LDAError, match=r"differ in before: .+ 'another' in another"):
        experiment_of([log, other])
    longer = edited(log)
    longer.eval.task_args["max_tokens"] = 5
    with pytest.raises(LDAError, match=r"differ in max_tokens: 3 in .+, 5 in"):
        experiment_of([log, longer])


def test_a_rollout_counts_once(log: EvalLog) -> None:
    with pytest.raises(LDAError, match=r"the same rollout twice .+ -T seed="):
        experiment_of([log, log])
    assert len(experiment_of([log, edited(log)]).rollouts) == 2 * 2 * 2 * 20


@pytest.mark.parametrize(
    "evidence",
    [
        {"sampling": {"min_p": 0.1}},
        {
            "nets": {
                "settings": {"plausibility": 0.2},
                "steps": {},
                "alpha_mean": 0.3,
                "dropped_mean": 0.1,
                "lower_bound": True,
            }
        },
    ],
)
def test_what_breaks_support_is_refused_or_a_bound(
    log: EvalLog, evidence: dict[str, Any]
) -> None:
    experiment = experiment_of([edited(log, **evidence)])
    refused = own_rate(experiment)
    assert refused.found.rate is None
    assert "plausibility floor" in refused.found.refused[0]
    bound = own_rate(experiment, lower_bound=True)
    assert bound.found.rate is not None
    assert bound.found.bound == "lower"
    assert "at least " in rate_headline(bound)


def test_greedy_rollouts_have_no_rate(log: EvalLog) -> None:
    with pytest.raises(LDAError, match="greedy"):
        experiment_of([edited(log, temperature=0.0)])
