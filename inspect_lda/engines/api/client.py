"""The openai client, held to one server: no redirects, no foreign headers, no retries.

The client adds what it finds in its own environment variables (organisation, project,
further headers). An endpoint of LDA is rarely OpenAI's, so only what a request needs is
sent, and the key is put in last, where nothing prints it.
"""

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from inspect_lda.engines.api.address import Address
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT_SECONDS = 30.0
_SENT = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
    }
)


class ForeignHost(Exception):
    """A request was about to leave for another host."""


class Clients:
    """One openai client for each event loop: connections belong to a loop.

    Args:
        address: The only server that is called.
        key: Sent as a bearer token, if given.
        timeout: Seconds without an answer after which an attempt has failed.
    """

    def __init__(self, address: Address, key: SecretStr | None, timeout: float) -> None:
        self._address = address
        self._key = key
        self._timeout = timeout
        self._lock = threading.Lock()
        self._of: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = (
            weakref.WeakKeyDictionary()
        )

    def current(self) -> "AsyncOpenAI":
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            for other in [other for other in self._of if other.is_closed()]:
                del self._of[other]
            client = self._of.get(loop)
            if client is None:
                client = self._of[loop] = self._build()
            return client

    def close(self) -> None:
        """Close the connections of every loop that still runs."""
        with self._lock:
            clients, self._of = self._of, weakref.WeakKeyDictionary()
        for loop, client in clients.items():
            if not loop.is_running():
                continue  # its connections go with it
            closing = client.close()
            try:
                asyncio.run_coroutine_threadsafe(closing, loop)
            except RuntimeError:  # the loop closed in between
                closing.close()

    def _build(self) -> "AsyncOpenAI":
        try:
            import openai
        except ImportError:
            raise LDAError(
                "engine=api needs the package openai: pip install 'inspect_lda[api]'"
            ) from None
        # Proxies and certificates come from the environment, as with any other model.
        http = openai.DefaultAsyncHttpxClient(
            follow_redirects=False, event_hooks={"request": [self._guard]}
        )
        timeout = openai.Timeout(self._timeout, connect=CONNECT_SECONDS)
        return openai.AsyncOpenAI(
            api_key="set-by-the-guard",
            base_url=self._address.base,
            max_retries=0,
            timeout=timeout,
            http_client=http,
        )

    async def _guard(self, request: Any) -> None:
        if not self._address.holds(request.url):
            raise ForeignHost(str(request.url))
        for name in set(request.headers) - _SENT:
            del request.headers[name]
        if self._key is not None:
            secret = self._key.get_secret_value()
            request.headers["Authorization"] = f"Bearer {secret}"
