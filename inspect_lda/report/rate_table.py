"""The model's own rate in a terminal, and as JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspect_lda.report.own_rate import OwnRate
from inspect_lda.report.rate_lines import (
    PROMPT_HEADER,
    carried,
    forecast_lines,
    prompt_lines,
    rate_headline,
    rate_lines,
)
from inspect_lda.statistics.forecast import Forecast


def print_rate(
    own: OwnRate, forecasts: Sequence[Forecast] = (), console: Console | None = None
) -> None:
    """Print the rate, what it rests on, the prompts that carry it and the forecasts."""
    (console or Console()).print(rate_section(own, forecasts))


def print_own_rate(own: OwnRate | str, console: Console | None = None) -> None:
    """Print the section of a report; a reason stands where there is no estimate."""
    console = console or Console()
    if isinstance(own, str):
        console.print(Text(own, style="dim"))
    else:
        print_rate(own, console=console)


def rate_section(own: OwnRate, forecasts: Sequence[Forecast] = ()) -> RenderableType:
    """All of it as one renderable."""
    parts: list[RenderableType] = [
        Text(rate_headline(own), style="bold"),
        *map(Text, rate_lines(own)),
    ]
    if lines := prompt_lines(own.found):
        table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for name in PROMPT_HEADER:
            table.add_column(name, justify="left" if name == "prompt" else "right")
        for line in lines:
            # Text, not str: nothing in a log may be read as console markup.
            table.add_row(*map(Text, line.cells))
        parts += [table, Text(carried(own.found), style="dim")]
    parts += map(Text, forecast_lines(forecasts))
    return Group(*parts)


def rate_json(own: OwnRate, forecasts: Sequence[Forecast] = ()) -> str:
    """The same for programs; infinity and NaN, which JSON has not, are null."""
    experiment = own.experiment
    document = {
        "schema": "inspect_lda.rate/1",
        "logs": list(experiment.locations),
        "setting": asdict(experiment.setting),
        "rollouts": len(experiment.rollouts),
        "unscored": experiment.unscored,
        "valid": own.found.valid,
        "rate": _plain(asdict(own.found)),
        "exact": None if own.exact is None else _plain(asdict(own.exact)),
        "forecasts": [_plain(asdict(one)) for one in forecasts],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
