"""JSON, in the form of `gate-report.schema.json`."""

from inspect_lda.gate.report import GateReport


def render(report: GateReport) -> str:
    """The report as it is."""
    return report.json_text() + "\n"
