"""GitHub Actions: annotations, as workflow commands on standard output.

GitHub shows ten errors and ten warnings a step, so the headline is first and what is
left out is counted. The command line appends the Markdown to `$GITHUB_STEP_SUMMARY`.
"""

from collections.abc import Iterator, Sequence

from inspect_lda.gate.report import GateReport

SHOWN = 9
"""Annotations of one level behind the headline."""

LEVELS = {
    "PASS": "notice",
    "FAIL": "error",
    "INCONCLUSIVE": "warning",
    "INVALID": "error",
}


def render(report: GateReport) -> str:
    """The annotations."""
    head = _command(
        LEVELS[report.verdict], f"{report.verdict}: {report.policy}", report.headline
    )
    return "\n".join([head, *_details(report)]) + "\n"


def _details(report: GateReport) -> Iterator[str]:
    errors = [(f"{c.name} ({c.subject})", c.found) for c in report.failed]
    warnings = []
    for one in report.decisions:
        at = "" if one.alpha is None else f" at alpha {one.alpha:g}"
        told = (f"{one.behaviour}{at}: {one.rule}", one.said)
        if one.outcome == "FAIL":
            errors.append(told)
        elif one.outcome == "INCONCLUSIVE":
            warnings.append(told)
    notes = [check for check in report.checks if check.status == "note"]
    warnings += [(f"{c.name} ({c.subject})", c.found) for c in notes]
    yield from _limited("error", errors)
    yield from _limited("warning", warnings)


def _limited(level: str, told: Sequence[tuple[str, str]]) -> Iterator[str]:
    shown = told if len(told) <= SHOWN else told[: SHOWN - 1]
    for title, text in shown:
        yield _command(level, title, text)
    if len(told) > len(shown):
        left = len(told) - len(shown)
        yield _command(level, "more", f"{left:,} more are in the step summary")


def _command(level: str, title: str, text: str) -> str:
    return f"::{level} title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
