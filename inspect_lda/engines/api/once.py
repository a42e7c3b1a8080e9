"""Something that is made once, however many ask for it at the same time.

Samples of an eval start together, and evals may run in event loops of several threads,
so neither a plain check nor an asyncio lock will do.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class _GaveUp(Exception):
    """Who was making it was cancelled; whoever waits may try."""


class Once(Generic[T]):
    """Makes a value when it is first asked for.

    Args:
        make: Makes it; asked again only after it failed.
    """

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._future: Future[T] | None = None

    async def get(self) -> T:
        """The value; made now, or waited for.

        Raises:
            Exception: What making it raised, for everyone who waited.
        """
        while True:
            with self._lock:
                future, mine = self._future, self._future is None
                if future is None:
                    future = self._future = Future()
                    # So that a waiter who is cancelled does not cancel it.
                    future.set_running_or_notify_cancel()
            if mine:
                return await self._made(future)
            try:
                return await asyncio.wrap_future(future)
            except _GaveUp:
                continue

    def take(self) -> T | None:
        """Forget the value and return it, if it was made."""
        with self._lock:
            future, self._future = self._future, None
        made = future is not None and future.done() and future.exception() is None
        return future.result() if future is not None and made else None

    async def _made(self, future: "Future[T]") -> T:
        try:
            value = await self._make()
        except BaseException as error:
            with self._lock:
                if self._future is future:
                    self._future = None
            passing = isinstance(error, Exception)
            future.set_exception(error if passing else _GaveUp())
            raise
        future.set_result(value)
        return value
