"""Arguments of graded scorers, as they come through `-S` and `-T`."""

from collections.abc import Sequence

from inspect_lda.errors import LDAError
from inspect_lda.values import number

Confirm = str | Sequence[str]


def number_within(name: str, value: float, top: float) -> float:
    """A number from 0 to `top`.

    Raises:
        LDAError: If it is none.
    """
    try:
        found = number(value)
    except ValueError as error:
        raise LDAError(f"{name}={value!r}: {error}. Allowed: 0 to {top:g}") from error
    if not 0 <= found <= top:
        raise LDAError(f"{name}={value!r}: need a number from 0 to {top:g}")
    return found


def words_of(name: str, value: object) -> str:
    """A text that says something, as one line without a final stop.

    Raises:
        LDAError: If it is none. A comma is how `-S` divides lists.
    """
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        value = ", ".join(part.strip() for part in value)
    if not isinstance(value, str) or not value.strip():
        raise LDAError(f"{name}={value!r}: need words, such as 'flatters the reader'")
    return " ".join(value.split()).rstrip(".")
