"""Logs and a policy in, a report out: no model, no weights, no network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inspect_lda import __version__
from inspect_lda.errors import LDAError
from inspect_lda.gate.attest import attest
from inspect_lda.gate.case import Arms, Case, one_detector
from inspect_lda.gate.checks_counts import count_checks, draw_checks
from inspect_lda.gate.checks_judge import judge_checks
from inspect_lda.gate.checks_log import case_checks, log_checks, result
from inspect_lda.gate.checks_pair import control_checks, evidence_checks, pair_checks
from inspect_lda.gate.decisions import claims, comparable, decide
from inspect_lda.gate.detection import detections
from inspect_lda.gate.inputs import Inputs, open_logs
from inspect_lda.gate.measured import true_rate_claim
from inspect_lda.gate.policy import BehaviourRules, Policy
from inspect_lda.gate.policy_file import fingerprint, read_policy
from inspect_lda.gate.protocol import differences
from inspect_lda.gate.report import (
    EXIT_CODES,
    Check,
    Decision,
    GateReport,
    Source,
    Verdict,
)
from inspect_lda.gate.rollouts import LogData
from inspect_lda.gate.sources import calibration_source, source
from inspect_lda.gate.transcripts import transcripts
from inspect_lda.gate.wording import headline


@dataclass(frozen=True)
class Given:
    """The logs, by what they were given as."""

    candidate: Inputs
    baseline: Inputs
    planted: Inputs


def gate(
    logs: Sequence[str],
    policy: Policy | Path | str,
    *,
    baseline: Sequence[str] = (),
    planted: Sequence[str] = (),
) -> GateReport:
    """Decide whether a release may go out.

    Args:
        logs: Files, folders or addresses of the release's logs, and of calibrations of
            its judges.
        policy: The policy, or where it is.
        baseline: Logs of another release under the same protocol.
        planted: Logs of planted pairs under it, for the limit of detection.

    Returns:
        The report; its `verdict` is one of PASS, FAIL, INCONCLUSIVE and INVALID.

    Raises:
        LDAError: If the policy is wrong, a location does not exist, or a baseline is
            asked for and not given.
    """
    rules = policy if isinstance(policy, Policy) else read_policy(Path(policy))
    given = Given(open_logs(logs), open_logs(baseline), open_logs(planted))
    _agree(rules, given)
    cases, checks = _cases(rules, given)
    found: list[Check] = list(checks)
    for case in cases:
        found += _checks(case, rules)
    found += given.candidate.unused([one.task for one in rules.behaviours])
    claimed = [claim for case in cases for claim in claims(case, rules)]
    measured = [true_rate_claim(case, rules) for case in cases]
    decisions = decide([*claimed, *(one for one in measured if one)], rules)
    return _report(rules, cases, tuple(found), decisions)


def _agree(policy: Policy, given: Given) -> None:
    """Refuse a baseline that is asked for and not given, or given and not asked for."""
    asked = [one.label for one in policy.behaviours if one.baseline is not None]
    there = bool(given.baseline.headers or given.baseline.checks)
    if asked and not there:
        raise LDAError(
            f"the policy compares {asked[0]!r} with a baseline: give its logs, "
            "--baseline LOGS"
        )
    if there and not asked:
        raise LDAError(
            "--baseline has no effect: no behaviour of the policy has 'baseline: "
            "{max_increase: …}'"
        )


def _cases(policy: Policy, given: Given) -> tuple[list[Case], list[Check]]:
    cases: list[Case] = []
    checks: list[Check] = []
    calibrations = given.candidate.calibrations()
    for rules in policy.behaviours:
        logs = given.candidate.of(rules)
        if not logs:
            found = f"no log of task {rules.task}, which the policy requires"
            checks.append(result("logs", rules.label, False, found))
            continue
        measured = [one for one in calibrations if one.detector == one_detector(logs)]
        cases.append(
            Case(
                rules=rules,
                candidate=Arms(logs, rules.count),
                baseline=_arms(given.baseline, rules) if rules.baseline else None,
                planted=tuple(
                    Arms((log,), rules.count) for log in given.planted.of(rules)
                ),
                attested={log.location: attest(log) for log in logs},
                calibration=measured[-1] if measured else None,
            )
        )
    sides = (given.candidate, given.baseline, given.planted)
    return cases, [*(one for side in sides for one in side.checks), *checks]


def _arms(inputs: Inputs, rules: BehaviourRules) -> Arms | None:
    logs = inputs.of(rules)
    return Arms(logs, rules.count) if logs else None


def _checks(case: Case, policy: Policy) -> Iterator[Check]:
    for log in case.candidate.logs:
        yield from log_checks(log, case.rules, policy)
    yield from pair_checks(case, policy)
    yield from case_checks(case, policy)
    yield from count_checks(case, policy)
    yield from evidence_checks(case)
    yield from control_checks(case)
    yield from judge_checks(case, policy)
    if case.rules.baseline is not None:
        yield from _baseline_checks(case, policy)
    for log in (log for arms in case.planted for log in arms.logs):
        yield from _fixed_checks(log, case.rules, policy, "planted pair")


def _baseline_checks(case: Case, policy: Policy) -> Iterator[Check]:
    other = case.baseline
    if other is None:
        found = f"no log of task {case.rules.task} in --baseline"
        yield result("baseline", case.label, False, found)
        return
    for log in other.logs:
        yield from _fixed_checks(log, case.rules, policy, "baseline")
    yield from draw_checks(f"{case.label}: baseline", other, case.alphas)
    differ = differences([*case.candidate.logs, *other.logs], pair=False)
    apart = [f"{a:g}" for a in case.alphas if not comparable(case, a)]
    found = f"run as the release was, on {other.logs[0].model}"
    if differ:
        found = f"not run as the release was: they differ in {differ}"
    elif apart:
        found = f"asked other prompts at alpha {', '.join(apart)}"
    yield result("baseline", case.label, not differ and not apart, found)


def _fixed_checks(
    log: LogData, rules: BehaviourRules, policy: Policy, role: str
) -> Iterator[Check]:
    """Of logs to compare with, whose bounds are those of a fixed size."""
    yield from log_checks(log, rules, policy)
    if log.stopped:
        found = f"a {role} that ended early, after looking at its counts"
        yield result("stopped early", log.short, False, found)


def _report(
    policy: Policy,
    cases: Sequence[Case],
    checks: tuple[Check, ...],
    decisions: tuple[Decision, ...],
) -> GateReport:
    verdict = _verdict(checks, decisions)
    report = GateReport(
        version=__version__,
        verdict=verdict,
        exit_code=EXIT_CODES[verdict],
        headline="",
        policy=policy.name,
        policy_sha256=fingerprint(policy),
        confidence=policy.confidence,
        estimand=policy.estimand,
        checks=checks,
        decisions=decisions,
        detections=tuple(one for case in cases for one in detections(case, policy)),
        transcripts=tuple(one for case in cases for one in transcripts(case)),
        sources=tuple(_sources(cases)),
    )
    return report.model_copy(update={"headline": headline(verdict, report)})


def _verdict(checks: Sequence[Check], decisions: Sequence[Decision]) -> Verdict:
    """Logs that cannot be believed decide nothing, then one FAIL is enough."""
    outcomes = {one.outcome for one in decisions}
    if any(check.status == "failed" for check in checks) or not decisions:
        return "INVALID"
    if "FAIL" in outcomes:
        return "FAIL"
    return "INCONCLUSIVE" if "INCONCLUSIVE" in outcomes else "PASS"


def _sources(cases: Sequence[Case]) -> Iterator[Source]:
    seen: set[str] = set()
    for case in cases:
        for log in case.candidate.logs:
            if log.location not in seen:
                yield source("candidate", log, case.attested.get(log.location, ()))
            seen.add(log.location)
        for log in case.baseline.logs if case.baseline else ():
            if log.location not in seen:
                yield source("baseline", log, attest(log))
            seen.add(log.location)
        for log in (log for arms in case.planted for log in arms.logs):
            if log.location not in seen:
                yield source("planted", log, attest(log))
            seen.add(log.location)
        if case.calibration and case.calibration.location not in seen:
            seen.add(case.calibration.location)
            yield calibration_source(case.calibration)
