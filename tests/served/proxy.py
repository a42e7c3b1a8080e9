"""A proxy in front of a real server that drops, delays, truncates and refuses."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.served.faults import REASONS, Fault, Lot

Rewrite = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Asked:
    """A request as it came.

    Attributes:
        line: Method and path.
        head: The head as it was sent.
        body: The body as it was sent.
    """

    line: str
    head: bytes
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body, read."""
        read: dict[str, Any] = json.loads(self.body)
        return read


@dataclass(frozen=True)
class _Answer:
    status: str
    body: bytes
    headers: tuple[str, ...] = ()

    def wire(self) -> bytes:
        lines = (
            f"HTTP/1.1 {self.status}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
            *self.headers,
        )
        return "\r\n".join((*lines, "", "")).encode() + self.body


class FaultProxy:
    """Runs in a thread of its own while its `with` block lasts.

    Attributes:
        target: Root of the server behind it; may be set to another one at any time.
        rewrite: Changes the JSON of an answer: (request, answer) → answer. None changes
            nothing.
        lot: Which request meets which fault, and how many did.
        asked: Every request that came, in order.
        port: Where it listens.
    """

    def __init__(
        self,
        target: str,
        shares: Mapping[Fault, float] | None = None,
        *,
        seed: int = 0,
        delay_s: float = 0.1,
        retry_after: str = "1",
        redirect_to: str = "",
        rewrite: Rewrite | None = None,
    ) -> None:
        """Not listening yet.

        Args:
            target: Root of the real server, e.g. `http://127.0.0.1:40001`.
            shares: Fault to the share of the requests that it meets.
            seed: Seed of who meets what.
            delay_s: Seconds that an answer with the fault "delay" is late.
            retry_after: Value of that header with the fault "429 later".
            redirect_to: Root that the fault "redirect" sends the client to.
            rewrite: See the class.
        """
        self.target = target
        self.rewrite = rewrite
        self.lot = Lot(shares or {}, seed)
        self.asked: list[Asked] = []
        self.port = 0
        self._delay_s = delay_s
        self._retry_after = retry_after
        self._redirect_to = redirect_to
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(),), daemon=True
        )

    @property
    def root(self) -> str:
        """Address to use in place of the target's."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Base URL of the OpenAI routes."""
        return f"{self.root}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        open_ones = asyncio.all_tasks() - {asyncio.current_task()}
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while await self._request(reader, writer):
                pass
        except (asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
            pass  # the client hung up, or the test is over
        finally:
            writer.close()

    async def _request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; False ends the connection."""
        asked = await _read(reader)
        self.asked.append(asked)
        fault = self.lot.draw(asked.line.encode() + asked.body)
        if fault == "drop before":
            return False
        answer = self._refusal(fault, asked) or await self._forward(asked)
        if fault == "drop after":
            return False
        if fault == "delay":
            await asyncio.sleep(self._delay_s)
        if fault == "cut json":
            half = answer.body[: len(answer.body) // 2]
            answer = _Answer(answer.status, half)
        wire = answer.wire()
        if fault == "truncate":
            wire = wire[: -len(answer.body) // 2]
        writer.write(wire)
        await writer.drain()
        return fault != "truncate"

    def _refusal(self, fault: Fault | None, asked: Asked) -> _Answer | None:
        if fault == "redirect":
            path = asked.line.partition(" ")[2]
            where = f"Location: {self._redirect_to}{path}"
            return _Answer("307 Temporary Redirect", b"", (where,))
        status = (fault or "").removesuffix(" later")
        if status not in REASONS:
            return None
        later = (f"Retry-After: {self._retry_after}",) if fault == "429 later" else ()
        body = json.dumps({"error": {"message": REASONS[status], "code": int(status)}})
        return _Answer(f"{status} {REASONS[status]}", body.encode(), later)

    async def _forward(self, asked: Asked) -> _Answer:
        address = urlsplit(self.target)
        try:
            reader, writer = await asyncio.open_connection(
                address.hostname, address.port
            )
        except OSError:
            return _Answer("502 Bad Gateway", b'{"error": {"message": "no server"}}')
        writer.write(_passed_on(asked))
        raw = await reader.read()
        writer.close()
        head, _, body = raw.partition(b"\r\n\r\n")
        status = head.partition(b"\r\n")[0].decode().partition(" ")[2]
        if self.rewrite and status.startswith("200") and asked.body:
            body = json.dumps(self.rewrite(asked.json, json.loads(body))).encode()
        return _Answer(status, body)


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    lengths = [
        value
        for name, _, value in (one.partition(":") for one in headers)
        if name.lower() == "content-length"
    ]
    body = await reader.readexactly(int(lengths[0])) if lengths else b""
    return Asked(first.rpartition(" ")[0], head, body)


def _passed_on(asked: Asked) -> bytes:
    """The request for a connection that ends with its answer."""
    lines = asked.head.decode().split("\r\n")
    kept = [one for one in lines if one and not one.lower().startswith("connection:")]
    return "\r\n".join((*kept, "Connection: close", "", "")).encode() + asked.body
