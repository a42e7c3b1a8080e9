"""A real https server on this machine, with a certificate of its own authority."""

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

Route = bytes | Callable[["Handler"], None]


class WebServer(http.server.ThreadingHTTPServer):
    """Serves `routes` (path → bytes, or what to do) and notes every path asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[str, Route] = {}
        self.asked: list[str] = []

    def url(self, path: str, host: str = "localhost") -> str:
        """The address of a path; the certificate is good for two hosts."""
        return f"https://{host}:{self.server_port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: WebServer

    def do_HEAD(self) -> None:
        """Answer like GET, without a body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer from the routes."""
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        route = self.server.routes.get(path)
        if route is None:
            # The header is what a hub says, and what its clients go by.
            missing = {"X-Error-Code": "EntryNotFound", "Content-Length": "0"}
            self.answer(missing, status=404)
        elif isinstance(route, bytes):
            self.answer({"Content-Length": str(len(route))}, route)
        else:
            route(self)

    def answer(
        self, headers: dict[str, str], body: bytes = b"", status: int = 200
    ) -> None:
        """Send exactly this, true or not."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def redirect(target: str) -> Callable[[Handler], None]:
    """A route that sends the client elsewhere."""
    return lambda handler: handler.answer({"Location": target}, status=302)


def endless(pause: float) -> Callable[[Handler], None]:
    """A route that goes on sending, without saying how much."""

    def route(handler: Handler) -> None:
        handler.answer({})
        try:
            while True:
                handler.wfile.write(b"prompt\n" * 100)
                time.sleep(pause)
        except OSError:  # the client had enough
            return

    return route


@contextmanager
def serving(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A running server, trusted by its clients; with a download cache of its own."""
    authority = trustme.CA()
    trusted = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    patch.setenv("SSL_CERT_FILE", str(trusted))
    patch.setenv("NO_PROXY", "*")
    patch.setenv("INSPECT_LDA_CACHE", str(folder / "cache"))
    server = WebServer()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    # A client that does not trust us breaks the handshake; that is no news.
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
