"""Download a file over https: bounded in size and time, every failure in words."""

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import inspect_lda
from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompts.addresses import masked

_OWN = "Download it yourself and give its path"


@dataclass(frozen=True)
class Limits:
    """What a download may cost.

    Attributes:
        size: Bytes.
        idle: Seconds that the server may say nothing.
        total: Seconds for the whole transfer.
    """

    size: int = 64 * 2**20
    idle: float = 20
    total: float = 300


def fetch(url: str, limits: Limits | None = None) -> bytes:
    """Get a file; certificates are checked (`SSL_CERT_FILE` names other authorities).

    No header carries credentials, and redirects are followed within https only.

    Raises:
        LDAError: If the server cannot be reached or trusted, says no, sends too much,
            too little or too slowly, or redirects away from https.
    """
    limits = limits or Limits()
    agent = f"inspect_lda/{inspect_lda.__version__}"
    request = urllib.request.Request(url, headers={"User-Agent": agent})
    with _explained(url), _opener().open(request, timeout=limits.idle) as response:
        return _read(response, url, limits)


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to any host, as long as they stay encrypted."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith("https://"):
            raise LDAError(
                f"prompts={masked(req.full_url)!r} redirects to {masked(newurl)!r}; "
                f"only https is followed. {_OWN}"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    context = ssl.create_default_context()
    secure = urllib.request.HTTPSHandler(context=context)
    return urllib.request.build_opener(secure, _HttpsOnly())


def _read(response: http.client.HTTPResponse, url: str, limits: Limits) -> bytes:
    # http.client asks for "identity", for the hash is of the file as it is.
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise LDAError(f"prompts={masked(url)!r} came {encoding}-compressed. {_OWN}")
    declared = int(response.headers.get("Content-Length") or -1)
    end = time.monotonic() + limits.total
    data = bytearray()
    while declared <= limits.size and (chunk := response.read1(2**16)):
        data += chunk
        if len(data) > limits.size:
            break
        if time.monotonic() > end:
            raise LDAError(
                f"prompts={masked(url)!r} took longer than {limits.total:g} s "
                f"({len(data)} bytes so far). {_OWN}"
            )
    if max(len(data), declared) > limits.size:
        raise LDAError(
            f"prompts={masked(url)!r} is larger than {limits.size} bytes, the limit "
            f"for a download. {_OWN}"
        )
    if len(data) < declared:
        raise LDAError(
            f"prompts={masked(url)!r}: the connection ended after {len(data)} of "
            f"{declared} bytes. Try again"
        )
    return bytes(data)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what goes wrong on the wire into one line that repeats no secret."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise LDAError(
            f"prompts={masked(url)!r}: the server answered {_status(error.code)}"
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, LDAError):
            raise
        raise LDAError(f"prompts={masked(url)!r}: {_failure(error)}") from None


def _status(code: int) -> str:
    phrase = http.client.responses.get(code, "?")
    hint = {
        401: f"; it wants a login. {_OWN}",
        403: f"; it wants a login. {_OWN}",
        404: "; check owner, repository, commit and path",
        429: "; it wants fewer requests. Try again later",
    }.get(code, "")
    if 300 <= code < 400:
        hint = "; too many redirects, or one to nowhere"
    return f"{code} {phrase}{hint}"


def _failure(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({reason.verify_message}). "
            "SSL_CERT_FILE can name the authorities to trust"
        )
    if isinstance(reason, TimeoutError):
        return f"the server fell silent. Try again. Or: {_OWN.lower()}"
    if isinstance(reason, socket.gaierror):
        return f"the host cannot be found: no network, or a typo. {_OWN}"
    return f"cannot be fetched ({type(reason).__name__}: {reason}). {_OWN}"
