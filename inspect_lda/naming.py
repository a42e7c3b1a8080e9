"""Model names: `lda/<after>(alpha=0.5;before=org/base)`.

Inspect's generate cache keys on the model's name and not on its model args, so whatever
changes the text must be part of the name, or two alphas would share cached answers. A
logged name is also what `inspect score`, `eval-retry` and `eval-set` hand back to the
provider, so a name can be read again, and two alphas can be swept in one command:
`--model "lda/org/m(alpha=0),lda/org/m(alpha=1)"`.

The form holds no comma (`--model` splits on it), no square brackets (rich reads them as
markup), and no segment of dots alone (Inspect refuses to cache under such a name).
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from inspect_lda.errors import LDAError

_SUFFIX = re.compile(r"^(?P<after>.+)\((?P<options>[a-z_]+=[^()]*)\)$")
_SAFE = "/@._-+~ "


def format_name(after: str, parts: Mapping[str, str]) -> str:
    """The name of a model: `after` and the options that change its text."""
    options = ";".join(f"{key}={_encode(value)}" for key, value in parts.items())
    return f"{_hide_dots(after)}({options})"


def parse_name(name: str) -> tuple[str, dict[str, str]]:
    """Split a name into `after` and the options written in it, if any.

    Raises:
        LDAError: If the name is empty or an option in it has no value.
    """
    match = _SUFFIX.match(name)
    after = match["after"] if match else name
    if not after.strip():
        raise LDAError(
            "--model lda/ names no checkpoint. Allowed: lda/<after>, where <after> is "
            "org/name, org/name@revision, a local directory or demo/<organism>"
        )
    parts: dict[str, str] = {}
    for item in match["options"].split(";") if match else ():
        key, equals, value = item.partition("=")
        if not equals:
            raise LDAError(
                f"model name {name!r}: {item!r} has no value. "
                "Allowed: lda/<after>(option=value;option=value)"
            )
        parts[key] = unquote(value)
    return _show_dots(after), parts


def _encode(value: str) -> str:
    return _hide_dots(quote(value, safe=_SAFE))


def _hide_dots(path: str) -> str:
    return "/".join(
        s.replace(".", "%2E") if s and not s.strip(". ") else s for s in path.split("/")
    )


def _show_dots(path: str) -> str:
    return "/".join(
        s.replace("%2E", ".") if not s.replace("%2E", "").strip() else s
        for s in path.split("/")
    )
