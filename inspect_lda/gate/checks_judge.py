"""Was the judge measured, is it good enough, and were its hits confirmed?"""

from collections.abc import Iterator

from inspect_lda.gate.calibrations import Calibration
from inspect_lda.gate.case import Case, one_detector
from inspect_lda.gate.checks_log import result
from inspect_lda.gate.policy import JudgeRules, LogRules, Policy
from inspect_lda.gate.protocol import partial
from inspect_lda.gate.report import Check
from inspect_lda.report.wording import above, percent
from inspect_lda.statistics.intervals import clopper_pearson


def judge_checks(case: Case, policy: Policy) -> Iterator[Check]:
    """Everything about who says what a hit is; nothing if the policy does not ask."""
    rules = case.rules.judge
    if rules is None:
        return
    if rules.confirmed:
        yield _confirmed(case)
    if not rules.measured:
        return
    detector = one_detector(case.candidate.logs)
    if case.calibration is None:
        found = (
            f"no calibration of '{detector}' among the logs. Run inspect eval "
            "inspect_lda/judge_calibration with the same grader, and give its log too"
        )
        yield result("judge", case.label, False, found)
        return
    yield _whole(case.label, case.calibration, policy.logs)
    yield _same_grader(case, case.calibration)
    yield from _good_enough(case.label, case.calibration, rules, policy.confidence)


def _confirmed(case: Case) -> Check:
    hits = [one for log in case.candidate.logs for one in log.rollouts if one.hit]
    # A chain ends with its last YES: the second grader's, if it was asked.
    bare = [one for one in hits if one.decided_by != "grader2"]
    asked = all(
        "grader2" in (log.header.eval.model_roles or {}) for log in case.candidate.logs
    )
    found = f"{len(hits) - len(bare):,} of {len(hits):,} hits confirmed by grader2"
    if not asked:
        found += ". Name one: --model-role grader2=…"
    return result("confirmed", case.label, asked and not bare, found)


def _whole(subject: str, found: Calibration, rules: LogRules) -> Check:
    """Bounds of its errors are those of replies that were all asked, once each."""
    header, wrong = found.header, []
    if header.status != "success" or header.invalidated:
        wrong.append(f"status '{header.status}', or samples invalidated")
    if partial(header):
        wrong.append("--limit or --sample-id picked some of the replies")
    if found.repeated:
        wrong.append(
            f"{found.repeated:,} replies were asked before, which makes no new ones: "
            "use one epoch"
        )
    if found.unscored > rules.max_unscored * found.asked:
        wrong.append(
            f"it could not tell {found.unscored:,} of {found.asked:,} replies, at most "
            f"{rules.max_unscored:.1%} may be"
        )
    told = "; ".join(wrong) or f"{found.asked:,} labelled replies"
    return result("calibration", subject, not wrong, told)


def _same_grader(case: Case, calibration: Calibration) -> Check:
    roles = calibration.header.eval.model_roles or {}
    measured = {
        role: model.model
        for role, model in roles.items()
        if not isinstance(model, list)
    }
    used = {
        role: sorted(models)[0]
        for log in case.candidate.logs
        for role, models in log.graders.items()
    }
    other = {role for role in used if measured.get(role) != used[role]}
    found = f"measured: {_named(measured)}; used: {_named(used)}"
    if other:
        found += (
            ". Measure it as it is used: the same --model-role, and -T options="
            "'{confirm: grader2}' with a second one"
        )
    return result("same judge", case.label, not other, found)


def _good_enough(
    subject: str, calibration: Calibration, rules: JudgeRules, confidence: float
) -> Iterator[Check]:
    judged = calibration.judged
    right = judged.false._replace(k=judged.false.n - judged.false.k)
    for name, cell, least in (
        ("sensitivity", judged.found, rules.min_sensitivity),
        ("specificity", right, rules.min_specificity),
    ):
        lower = clopper_pearson(*cell, confidence, "lower").lower
        found = (
            f"{name} {percent(cell.k / cell.n)} of {cell.n:,} replies, at least "
            f"{above(lower)}"
        )
        if least is None:
            yield Check(name="judge", subject=subject, status="note", found=found)
        else:
            found += f", need {percent(least)}"
            yield result("judge", subject, lower >= least, found)


def _named(models: dict[str, str]) -> str:
    return (
        ", ".join(f"{role}={model}" for role, model in sorted(models.items()))
        or "rules"
    )
