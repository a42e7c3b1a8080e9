"""What a server's log says when it fails: a known reason, and its last lines."""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

LINES = 12
"""How many of the last lines an error quotes."""
_WIDTH = 300
_READ = 1 << 20
_NOISE = re.compile(r"^\([^)]*\) ")
"""vLLM's workers begin their lines so: (EngineCore pid=7)."""


def why(log: Path) -> str:
    """The reason in a log, with the way out where it is a known one."""
    text = _text(log)
    for one in _known():
        found = re.search(one["log"], text)
        if found:
            said = one["say"].format(*(group.strip() for group in found.groups("")))
            return f"{said}. Way out: {one['way_out']}"
    return f"the last lines of its log:\n{_last(text)}" if text.strip() else "no word"


def last_line(log: Path) -> str:
    """What it said last, to show that it is alive."""
    return next(reversed(_lines(_text(log))), "")[:_WIDTH]


def _text(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _READ))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _lines(text: str) -> list[str]:
    cleaned = (_NOISE.sub("", line).rstrip() for line in text.splitlines())
    return [line for line in cleaned if line.strip()]


def _last(text: str) -> str:
    return "\n".join(f"    {line[:_WIDTH]}" for line in _lines(text)[-LINES:])


@cache
def _known() -> list[dict[str, Any]]:
    source = files("inspect_lda.engines.server") / "reasons.yaml"
    known: list[dict[str, Any]] = yaml.safe_load(source.read_text(encoding="utf-8"))
    return known
