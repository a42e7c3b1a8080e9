"""Where an endpoint is: the only place that requests to it may go."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from inspect_lda.errors import LDAError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """A base URL as the openai client takes it, e.g. `http://localhost:8000/v1`.

    Attributes:
        origin: Scheme, host and port.
        path: Path of the base URL without a slash at the end. Where the user gave
            none it is `/v1`.
    """

    origin: tuple[str, str, int]
    path: str

    @classmethod
    def parse(cls, url: str, argument: str = "base_url") -> "Address":
        """Read a URL that a user gave.

        Raises:
            LDAError: If it is not an http(s) URL of a host, or if it could hold a
                secret (user, password or query), which errors and logs would print.
        """
        parts = urlsplit(url.strip())
        example = "e.g. http://localhost:8000/v1"
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in _PORTS or not parts.hostname or port == -1:
            raise LDAError(
                f"{argument}={_without_secrets(url)!r} is not an address. Allowed: "
                f"http:// or https:// with a host, {example}"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise LDAError(
                f"{argument}={_without_secrets(url)!r} has more than host and path, "
                "which could be a secret. Allowed: scheme, host, port and path, "
                f"{example}; a key goes into the environment variable LDA_API_KEY"
            )
        origin = (parts.scheme, parts.hostname, port or _PORTS[parts.scheme])
        return cls(origin, parts.path.rstrip("/") or "/v1")

    @property
    def server(self) -> str:
        """Scheme, host and port as text."""
        scheme, host, port = self.origin
        shown = f"[{host}]" if ":" in host else host
        return f"{scheme}://{shown}" + ("" if port == _PORTS[scheme] else f":{port}")

    @property
    def base(self) -> str:
        """The base URL."""
        return self.server + self.path

    @property
    def host(self) -> str:
        """The host alone."""
        return self.origin[1]

    def url(self, route: str) -> str:
        """The URL of a route: below the base, or below the server if it has a slash.

        Servers have their own routes beside `/v1`, not in it.
        """
        if route.startswith("/"):
            return self.server + self.path.removesuffix("/v1") + route
        return f"{self.base}/{route}"

    def holds(self, url: Any) -> bool:
        """Whether a request to an (httpx) URL stays at this scheme, host and port."""
        port = url.port or _PORTS.get(url.scheme)
        return bool((url.scheme, url.host, port) == self.origin)


def _without_secrets(url: str) -> str:
    """The URL up to its query, without user and password."""
    scheme, mark, rest = url.partition("://")
    before = rest.partition("?")[0].partition("#")[0]
    return scheme.partition("?")[0] + mark + before.rpartition("@")[2]
