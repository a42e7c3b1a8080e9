"""Reports whose texts only show what they say.

What a model wrote may hold escape sequences that a terminal obeys, or marks that turn
the direction of a line, so that it reads as something else.
"""

import re
from typing import Any

from inspect_lda.gate.report import GateReport

# Control characters but tab and newline; embeddings, overrides, isolates of direction.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def cleaned(report: GateReport) -> GateReport:
    """The report with a mark in the place of every such character."""
    return GateReport.model_validate(_visible(report.model_dump(by_alias=True)))


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSEEN.sub("\ufffd", value)
    if isinstance(value, dict):
        return {key: _visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(item) for item in value]
    return value
