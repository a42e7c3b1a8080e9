"""Errors that a user can act on."""

import difflib
from collections.abc import Iterable
from typing import get_args

import click


class LDAError(click.ClickException, ValueError):
    """Bad input: names the argument, what came, what is allowed and the way out.

    It is a click exception because `inspect` and `inspect-lda` are click programs:
    click prints the message alone and exits 1, where any other exception raised while a
    model is constructed ends in a traceback (Inspect's own clean exception is private).
    Inspect also reads `.message` for the error text of a failed sample.
    """


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint such as `did you mean 'alpha'? Allowed: alpha, before`."""
    choices = sorted(allowed)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}Allowed: {', '.join(choices)}"


def one_of(name: str, value: str, kind: object) -> None:
    """Refuse what is none of the words of a `Literal`.

    Raises:
        LDAError: If it is another word; names the nearest.
    """
    words: Iterable[str] = get_args(kind)
    if value not in words:
        raise LDAError(f"{name}={value!r}: {nearest(str(value), words)}")
