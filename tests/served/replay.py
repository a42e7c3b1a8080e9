"""Answers as servers gave them that cannot be used: material for refusals alone.

No test may find a number right because a recording says so. A recording is a list of
exchanges; the first one that fits a request answers it, whatever else the request says.
"""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("recorded")
RECORDINGS = tuple(sorted(file.stem for file in FOLDER.glob("*.json")))


def kind_of(value: Any) -> str:
    """What a request's field holds: text, texts, ids, many ids, set or unset."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, list) and value:
        kinds = {str: "texts", int: "ids", list: "many ids"}
        return kinds.get(type(value[0]), "set")
    return "set" if value else "unset"


class Replay(http.server.ThreadingHTTPServer):
    """Answers from a recording.

    Attributes:
        exchanges: What was recorded.
        asked: (method and path, body) of every request.
    """

    daemon_threads = True

    def __init__(self, recording: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        text = (FOLDER / f"{recording}.json").read_text(encoding="utf-8")
        self.exchanges: list[dict[str, Any]] = json.loads(text)["exchanges"]
        self.asked: list[tuple[str, dict[str, Any]]] = []

    @property
    def root(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        """Base URL of its OpenAI routes."""
        return f"{self.root}/v1"

    def answer(
        self, method: str, path: str, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Status and body for a request."""
        for one in self.exchanges:
            conditions = one.get("when", {}).items()
            if (one["method"], one["path"]) == (method, path) and all(
                kind_of(body.get(name)) == kind for name, kind in conditions
            ):
                return one["status"], one["body"]
        return 404, {"detail": "Not Found"}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Replay
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self._reply(json.loads(self.rfile.read(length)))

    def _reply(self, asked: dict[str, Any]) -> None:
        self.server.asked.append((f"{self.command} {self.path}", asked))
        status, body = self.server.answer(self.command, self.path, asked)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def replaying(recording: str) -> Iterator[Replay]:
    """A running server that answers from `recorded/<recording>.json`."""
    server = Replay(recording)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
