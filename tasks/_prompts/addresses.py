"""Addresses that may be logged: without passwords, tokens or signatures."""

import re
from urllib.parse import parse_qsl, urlsplit

from inspect_lda.errors import LDAError

_SECRET_NAME = re.compile(
    r"token|secret|signature|credential|passw|pwd|session|auth(?!or)|key|^sig$|^jwt$",
    re.I,
)
# Random-looking: long, of one alphabet, and letters with digits.
_SECRET_VALUE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+/=.~-]{20,}")


def masked(url: str) -> str:
    """The address with nothing in it that could let somebody in.

    User, password, query and fragment are replaced by `***`: whoever reads an error
    message knows their own address.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    place = re.split(r"[?#]", rest, maxsplit=1)
    host, slash, path = place[0].partition("/")
    _, at, bare = host.rpartition("@")
    hidden = "?***" if len(place) > 1 else ""
    return f"{scheme}://{'***@' if at else ''}{bare}{slash}{path}{hidden}"


def refuse_credentials(url: str) -> None:
    """Refuse an address that lets in whoever reads it.

    A task's arguments are written into the log as they are, so masking them in the
    prompts' record alone would not help.

    Raises:
        LDAError: If it has a user or password, or a query that looks like a secret.
    """
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname, parts.username or parts.password
    except ValueError as error:
        raise LDAError(f"prompts={masked(url)!r} is no address: {error}") from error
    if not host:
        raise LDAError(f"prompts={masked(url)!r} names no host")
    query = parse_qsl(parts.query, keep_blank_values=True)
    named = [name for name, value in query if _is_secret(name, value)]
    if secret or named:
        what = "a user or password" if secret else "what looks like a secret"
        raise LDAError(
            f"prompts={masked(url)!r} holds {what}, and the log would keep it. "
            "Download the file yourself and give its path"
        )


def _is_secret(name: str, value: str) -> bool:
    random_looking = any(map(_SECRET_VALUE.fullmatch, (name, value)))
    return random_looking or bool(_SECRET_NAME.search(name))
