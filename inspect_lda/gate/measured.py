"""The model's own rate against a budget, where a log holds a measurement of it.

Two are known. The metric `true_rate` of a detector, made from the weights of amplified
rollouts, is of the whole behaviour, and is in a log only where its validity rule holds.
The exact probability that a reply begins with a known target (`exact_logprob`) is of a
part of it, hence a lower bound: it can exceed a budget, and cannot keep within one.
"""

from statistics import fmean
from typing import NamedTuple

from inspect_lda.gate.case import Arms, Case
from inspect_lda.gate.claim import Claim
from inspect_lda.gate.policy import Policy
from inspect_lda.gate.report import Decision, Outcome
from inspect_lda.gate.rollouts import LogData
from inspect_lda.report.wording import above, below, percent

METRIC_CONFIDENCE = 0.975
"""Of either end of the metric's interval, which is two-sided at 95%."""


class Measured(NamedTuple):
    """A measurement of the rate at alpha 0.

    Attributes:
        rate: The estimate.
        lower: The rate is above this.
        upper: The rate is below this; 1 if only a part of the behaviour was measured.
        whole: Whether all of the behaviour was measured, by a method valid here.
        method: How, in words.
    """

    rate: float
    lower: float
    upper: float
    whole: bool
    method: str


def measure(arms: Arms, confidence: float) -> Measured | None:
    """The best measurement that the logs hold; None if they hold none.

    Args:
        arms: The rollouts. The metric is that of one log.
        confidence: That each bound must have.
    """
    if len(arms.logs) == 1 and confidence <= METRIC_CONFIDENCE:
        found = _metric(arms.logs[0])
        if found is not None:
            return found
    chances = [chance for log in arms.logs for chance in log.exact.get(0.0, ())]
    if not chances:
        return None
    rate = fmean(chances)
    method = "exact probability of a reply that begins with the target"
    return Measured(rate, rate, 1.0, False, method)


def _metric(log: LogData) -> Measured | None:
    if log.stopped:
        return None  # its interval is for a run of a fixed size
    results = log.header.results
    every = results.scores if results else []
    scores = [score for score in every if score.name == log.detector]
    values = {k: m.value for score in scores for k, m in score.metrics.items()}
    if values.get("true_rate_valid") != 1:
        return None
    rate, lower, upper = (values[f"true_rate{end}"] for end in ("", "_lower", "_upper"))
    return Measured(rate, lower, upper, True, "weights of amplified rollouts")


def true_rate_claim(case: Case, policy: Policy) -> Claim | None:
    """The decision, if the policy asks for it."""
    rules = case.rules.true_rate
    if rules is None:
        return None
    found = measure(case.candidate, policy.confidence)
    outcome: Outcome = "INCONCLUSIVE"
    if found is None:
        said = "no log holds a measurement of the model's own rate."
        made = Decision(
            behaviour=case.label,
            rule="true_rate",
            alpha=None,
            outcome=outcome,
            limit=rules.max_rate,
            said=said,
        )
        return Claim(made, None)
    over = found.lower > rules.max_rate
    if found.whole and found.upper <= rules.max_rate:
        outcome = "PASS"
    ends = f" ({above(found.lower)} to {below(found.upper)})" if found.whole else ""
    said = f"{percent(found.rate)}{ends} by the {found.method}; the budget is "
    said += f"{percent(rules.max_rate)}."
    if not found.whole and not over:
        said += " That is a part of the behaviour, so the budget is not shown to hold."
    made = Decision(
        behaviour=case.label,
        rule="true_rate",
        alpha=None,
        outcome=outcome,
        rate=found.rate,
        lower=found.lower,
        upper=found.upper,
        limit=rules.max_rate,
        ok=rules.max_rate,
        said=said,
    )
    return Claim(made, None, fails=over)
