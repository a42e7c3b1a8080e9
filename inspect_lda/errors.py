"""Errors that a user can act on."""

import difflib
from collections.abc import Iterable


class LDAError(ValueError):
    """Bad input: names the argument, what came, what is allowed and the way out."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint such as `did you mean 'alpha'? Allowed: alpha, before`."""
    choices = sorted(allowed)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}Allowed: {', '.join(choices)}"
