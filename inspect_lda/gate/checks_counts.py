"""Are the rollouts what bounds are made for? Scored, independent, of equal weight."""

from collections import Counter
from collections.abc import Iterator

from inspect_lda.arms import SWEEP, label
from inspect_lda.gate.case import Arms, Case
from inspect_lda.gate.checks_log import result
from inspect_lda.gate.policy import LogRules, Policy
from inspect_lda.gate.report import Check


def count_checks(case: Case, policy: Policy) -> Iterator[Check]:
    """Everything about the rollouts of a release."""
    yield from _unscored(case, policy.logs)
    yield from draw_checks(case.label, case.candidate, case.alphas)


def draw_checks(subject: str, arms: Arms, alphas: tuple[float, ...]) -> Iterator[Check]:
    """What bounds ask of the draws, be they a release's or its baseline's."""
    yield _repeats(subject, arms)
    yield _weights(subject, arms, alphas)


def _unscored(case: Case, rules: LogRules) -> Iterator[Check]:
    cells = {cell for log in case.candidate.logs for cell in log.lost}
    worst = 0.0
    for arm, alpha in sorted(cells | set(case.candidate.cells)):
        lost = case.candidate.lost((arm, alpha))
        n = lost + len(case.candidate.cells.get((arm, alpha), ()))
        worst = max(worst, lost / n)
        if lost / n > rules.max_unscored:
            found = (
                f"{lost:,} of {n:,} rollouts at {label(alpha, arm)} have no score, "
                "or a limit cut them short, at most "
                f"{rules.max_unscored:.1%} may: they may be the hits"
            )
            yield result("unscored", case.label, False, found)
    if worst <= rules.max_unscored:
        found = (
            f"at most {worst:.1%} of an arm" if worst else "every rollout has a score"
        )
        yield result("unscored", case.label, True, found)


def _repeats(subject: str, arms: Arms) -> Check:
    """The same draw counted twice is one observation, however it came about."""
    seen = Counter(
        (one.sample_id, one.draw)
        for log in arms.logs
        for one in log.rollouts
        if one.draw is not None
    )
    twice = sum(count - 1 for count in seen.values())
    found = f"{sum(seen.values()):,} rollouts, each with a seed of its own"
    if twice:
        found = (
            f"{twice:,} rollouts repeat a prompt, alpha and seed: the same draws "
            "counted again. Give each log once, and each run its own -T seed="
        )
    return result("independent", subject, not twice, found)


def _weights(subject: str, arms: Arms, alphas: tuple[float, ...]) -> Check:
    """A rate of the prompts counts each alike: one asked for more often weighs more."""
    # A run that stopped skipped rollouts; its own test counts in a random order.
    fixed = not any(log.stopped for log in arms.logs)
    for alpha in alphas if fixed else ():
        cell = (SWEEP, alpha)
        seen = Counter(one.sample_id for one in arms.cells.get(cell, ()))
        most, least = max(seen.values(), default=0), min(seen.values(), default=0)
        if most - least > arms.lost(cell):
            found = (
                f"prompts have {least:,} to {most:,} rollouts at alpha {alpha:g}, so "
                "that some weigh more than others. Run the same prompts in every log"
            )
            return result("equal weights", subject, False, found)
    return result("equal weights", subject, True, "every prompt counts alike")
