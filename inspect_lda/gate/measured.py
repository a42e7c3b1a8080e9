"""The model's own rate against a budget, where a log holds a measurement of it.

What is measured today is the exact probability that a reply begins with a known target
(`exact_logprob`): a part of the behaviour, hence a lower bound of its rate. It can
exceed a budget, and can not keep within one. An estimator of the whole rate joins here:
it makes a `Measured` of its own, with `whole=True` where its validity rule holds.
"""

from statistics import fmean
from typing import NamedTuple

from inspect_lda.gate.case import Arms, Case
from inspect_lda.gate.claim import Claim
from inspect_lda.gate.report import Decision, Outcome
from inspect_lda.report.wording import percent


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


def measure(arms: Arms) -> Measured | None:
    """The best measurement that the logs hold; None if they hold none."""
    chances = [chance for log in arms.logs for chance in log.exact.get(0.0, ())]
    if not chances:
        return None
    rate = fmean(chances)
    method = "exact probability of a reply that begins with the target"
    return Measured(rate, rate, 1.0, False, method)


def true_rate_claim(case: Case) -> Claim | None:
    """The decision, if the policy asks for it."""
    rules = case.rules.true_rate
    if rules is None:
        return None
    found = measure(case.candidate)
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
    said = f"{percent(found.rate)} by {found.method}; the budget is "
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
