"""Kinds of requests that a server must not compute together take turns.

vLLM's older model runner (it is the one on CPUs) replaces the lists of a whole batch as
soon as one request in it asks for given ids: the others get a single filler entry
(vllm-project/vllm#51789, open in 2026-11). So requests of one kind are in flight at a
time; those of another kind wait, and then go all at once.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Origin = tuple[str, str, int]


class Turns:
    """Who may ask one server now. Used by one event loop."""

    def __init__(self) -> None:
        self._kind = ""
        self._active = 0
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def of(self, kind: str) -> AsyncIterator[None]:
        """Wait until only this kind is in flight, and be in flight inside the block.

        First come, first served: a kind that waits is not overtaken for ever.
        """
        if self._active and (self._waiting or kind != self._kind):
            await self._turn(kind)
        else:
            self._kind = kind
            self._active += 1
        try:
            yield
        finally:
            self._leave()

    async def _turn(self, kind: str) -> None:
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append((kind, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._leave()
            else:
                self._waiting.remove((kind, granted))
            raise

    def _leave(self) -> None:
        self._active -= 1
        if self._active or not self._waiting:
            return
        self._kind = self._waiting[0][0]
        ready = [one for one in self._waiting if one[0] == self._kind]
        self._waiting = deque(one for one in self._waiting if one[0] != self._kind)
        for _, granted in ready:
            if not granted.cancelled():
                self._active += 1
                granted.set_result(None)


_of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Origin, Turns]] = (
    weakref.WeakKeyDictionary()
)


def turns_at(origin: Origin) -> Turns:
    """The turns at a server: `after` and `before` may be two models of one."""
    servers = _of_loop.setdefault(asyncio.get_running_loop(), {})
    return servers.setdefault(origin, Turns())
