"""`-T stop=…`: what a user types, and the settings it means."""

from collections.abc import Mapping, Sequence

from inspect_lda.errors import LDAError, nearest
from inspect_lda.stopped import Settings

Stop = str | Sequence[str] | Mapping[str, float]
"""`r_ok=0.002,r_bad=0.01,confidence=0.95`, the list that `-T` makes of it, or a map."""

EXAMPLE = "r_ok=0.002,r_bad=0.01"


def parse_stop(stop: Stop | None) -> Settings | None:
    """The settings; None for none.

    Raises:
        LDAError: If a key is unknown, missing or twice, or a value is no number in its
            range.
    """
    if stop is None:
        return None
    pairs = list(stop.items()) if isinstance(stop, Mapping) else _pairs(stop)
    keys = [key for key, _ in pairs]
    known = tuple(Settings.model_fields)
    for key in keys:
        if key not in known:
            raise LDAError(f"stop={stop!r}: key {key!r}: {nearest(key, known)}")
        if keys.count(key) > 1:
            raise LDAError(f"stop={stop!r}: {key} stands there twice")
    missing = [key for key in ("r_ok", "r_bad") if key not in keys]
    if missing:
        raise LDAError(
            f"stop={stop!r}: {' and '.join(missing)} is missing. Say the largest rate "
            f"that is fine and the smallest that is not, e.g. stop={EXAMPLE}"
        )
    found = Settings(**{key: _number(key, value) for key, value in pairs})
    if not 0 < found.r_ok < found.r_bad < 1 or not 0 < found.confidence < 1:
        raise LDAError(
            f"stop={stop!r}: need 0 < r_ok < r_bad < 1 and 0 < confidence < 1, e.g. "
            f"stop={EXAMPLE}. No number of rollouts tells a rate of 0 from one that is "
            "small enough"
        )
    return found


def _pairs(stop: str | Sequence[str]) -> list[tuple[str, str]]:
    items = stop.split(",") if isinstance(stop, str) else stop
    pairs = [str(item).partition("=") for item in items]
    if not all(equals for _, equals, _ in pairs):
        raise LDAError(f"stop={stop!r}: give KEY=VALUE, e.g. stop={EXAMPLE}")
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def _number(key: str, value: str | float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise LDAError(
            f"stop: {key}={value!r}: need a number, e.g. stop={EXAMPLE}"
        ) from None
