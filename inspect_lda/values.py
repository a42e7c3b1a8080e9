"""Reading option values that came through a command line.

`-M key=value` passes through YAML 1.1 and a split on commas, so `1e-1` arrives as text,
`before=1234567` as a number and a path with a comma as a list. Each field's description
says what is allowed; its example is the way out.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from inspect_lda.errors import LDAError, nearest

MAX_ALPHA = 1000.0
BOOL_FORM = "true or false"
ALPHA_FORM = (
    "one number from -1000 to 1000 (0 is 'after', -1 is 'before'); for a sweep use a "
    "task's -T alphas=0,1 or one --model-spec per alpha"
)
SUPPORT_FORM = (
    "full (the whole vocabulary) or a whole number from 1: only so many of the ids "
    "most likely under 'after' are drawn from"
)
MAX_ALSO = 32
ALSO_FORM = (
    f"none, or up to {MAX_ALSO} numbers from -1000 to 1000: other alphas at which "
    "every drawn token is measured"
)
FULL = "full"
"""The support that is the whole vocabulary."""
AUTO: Literal["auto"] = "auto"
ModelT = TypeVar("ModelT", bound=BaseModel)


def number(value: object) -> float:
    """A finite number, also from text such as `1e-1`; not a bool."""
    if isinstance(value, list | tuple | set | dict):
        raise ValueError("one number belongs here")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"a {type(value).__name__} is not a number")
    try:
        result = float(value)
    except (ValueError, OverflowError):
        raise ValueError("not a number") from None
    if not math.isfinite(result):
        raise ValueError("not finite")
    return result


def amplification(value: object) -> float:
    """An alpha: a number within reason."""
    result = number(value)
    if abs(result) > MAX_ALPHA:
        raise ValueError(
            f"beyond {MAX_ALPHA:g}, where float32 logits lose their fraction"
        )
    return result + 0.0  # -0.0 is 0, and has its name


def amplification_or_auto(value: object) -> float | str:
    """An alpha, or the word that has it found."""
    return value if value == AUTO and isinstance(value, str) else amplification(value)


def text(value: object) -> str:
    """Non-empty text, also from a whole number (YAML reads `1234567` as one)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"a {type(value).__name__} is not text")
    if not value.strip():
        raise ValueError("empty")
    return value


def whole(value: object) -> int:
    """A whole number, also from text; not a bool."""
    result = number(value)
    if result != int(result):
        raise ValueError("not a whole number")
    return int(result)


def support(value: object) -> int:
    """How many ids are drawn from, at least 1; 0 for `full`, the whole vocabulary."""
    if value == FULL:
        return 0
    if (result := whole(value)) < 1:
        raise ValueError("nothing to draw from")
    return result


def alphas(value: object) -> tuple[float, ...]:
    """Some alphas: a list, or text (0,0.5; in a name 0/0.5). `none` is none."""
    if value in ("none", "off", False):
        return ()
    items = re.split("[,/]", value) if isinstance(value, str) else value
    items = items if isinstance(items, list | tuple) else [items]
    if len(items) > MAX_ALSO:
        raise ValueError(f"{len(items)} alphas, each takes a pass and 5 bytes a token")
    return tuple(dict.fromkeys(map(amplification, items)))


Number = Annotated[float, BeforeValidator(number)]
Alpha = Annotated[float, BeforeValidator(amplification)]
AlphaOrAuto = Annotated[float | Literal["auto"], BeforeValidator(amplification_or_auto)]
Alphas = Annotated[tuple[float, ...], BeforeValidator(alphas)]
Whole = Annotated[int, BeforeValidator(whole)]
Support = Annotated[int, BeforeValidator(support)]
Text = Annotated[str, BeforeValidator(text)]


def read(model: type[ModelT], values: Mapping[str, Any], where: str) -> ModelT:
    """Validate `values`; the first thing wrong becomes one readable `LDAError`.

    Args:
        model: What to read; every field has a description of what is allowed.
        values: Raw values.
        where: How the user wrote a key, e.g. `-M {key}`.

    Raises:
        LDAError: If a key is unknown or a value is not allowed.
    """
    for key in values:
        if key not in model.model_fields:
            name = where.format(key=key)
            raise LDAError(f"{name} is unknown; {nearest(key, model.model_fields)}")
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise LDAError(_explain(model, error, where)) from None


def _explain(model: type[BaseModel], error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    if not key:
        return str(first.get("ctx", {}).get("error", first["msg"]))
    field = model.model_fields[key]
    reason = first["msg"].removeprefix("Value error, ")
    name = where.format(key=key)
    if first["type"] == "missing":
        return f"{name} is missing. Allowed: {field.description}"
    message = f"{name}={first['input']!r}: {reason}. Allowed: {field.description}"
    return f"{message}, e.g. {field.examples[0]}" if field.examples else message
