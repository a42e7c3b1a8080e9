"""Reports as text, JSON, JUnit XML, Markdown, GitHub annotations and a page.

One module a format, each with `render(report) -> str`.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Literal, get_args

from inspect_lda.gate.render.clean import cleaned
from inspect_lda.gate.report import GateReport

Format = Literal["text", "json", "junit", "github", "markdown", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)


def render(report: GateReport, form: Format) -> str:
    """A report in a format; HTML needs matplotlib."""
    name = "json_" if form == "json" else form
    module = import_module(f"inspect_lda.gate.render.{name}")
    make: Callable[[GateReport], str] = module.render
    # JSON escapes by itself, and keeps what was written.
    return make(report if form == "json" else cleaned(report))
