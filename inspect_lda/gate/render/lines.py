"""The tables of a report, as cells: what every format shows."""

from collections.abc import Callable

from inspect_lda.gate.report import Check, Decision, GateReport
from inspect_lda.report.wording import Line, above, below, percent

_Worded = Callable[[float], str]

DECISIONS = ("behaviour", "rule", "alpha", "hits", "rate", "bounds", "limit", "verdict")
SOURCES = ("as", "pair", "task", "rollouts", "log")
MARKS = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "warn", "INVALID": "bad"}
STATUS = {"ok": "good", "failed": "bad", "note": "warn"}


def decision_lines(report: GateReport) -> list[Line]:
    """One line a decision."""
    return [_decision(one) for one in report.decisions]


def source_lines(report: GateReport) -> list[Line]:
    """One line a log."""
    return [
        Line(
            (
                one.role,
                f"{one.after} against {one.before}" if one.after else one.model,
                f"{one.task} {one.task_version}",
                f"{one.samples:,}",
                one.location.rpartition("/")[2],
            )
        )
        for one in report.sources
    ]


def by_status(report: GateReport, status: str) -> list[Check]:
    """Checks of one status."""
    return [check for check in report.checks if check.status == status]


def _decision(one: Decision) -> Line:
    counted = "-" if one.n is None else f"{one.k:,} / {one.n:,}"
    limit = f"{one.limit:g}" if one.rule == "max_hits" else percent(one.limit)
    return Line(
        (
            one.behaviour,
            one.rule,
            "-" if one.alpha is None else f"{one.alpha:g}",
            counted,
            _rate(one),
            _bounds(one),
            limit,
            one.outcome,
        ),
        MARKS[one.outcome],
    )


def _rate(one: Decision) -> str:
    """Never 0: no hits are a bound, which stands beside."""
    if one.rate is None:
        return "-"
    rate = one.rate
    if one.rule != "baseline":
        return percent(rate) if rate else "none"
    return ("-" if rate < 0 else "+") + percent(abs(rate))


def _bounds(one: Decision) -> str:
    """One-sided bounds; after no hits the upper one alone says something."""
    if one.upper is None or one.lower is None:
        return "-"
    if one.rule == "baseline":
        return (
            f"{_signed(one.lower, above, below)} to {_signed(one.upper, below, above)}"
        )
    if one.lower == 0:
        return f"below {below(one.upper)}"
    if one.upper >= 1:
        return f"above {above(one.lower)}"
    return f"{above(one.lower)} to {below(one.upper)}"


def _signed(bound: float, raised: _Worded, lowered: _Worded) -> str:
    """Outwards, whichever sign it has."""
    return f"+{raised(bound)}" if bound >= 0 else f"-{lowered(-bound)}"
