"""Opened by the first who needs it, while all others wait: endpoints, a server."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from inspect_lda.engines.api.errors import EndpointError, EndpointUnavailable
from inspect_lda.errors import LDAError

Thing = TypeVar("Thing")


class Opened(Generic[Thing]):
    """A thing that many rollouts, of one event loop after the other, need at once.

    Args:
        opens: Opens it.
        alive: Whether it still is; one that is not is opened again.

    Attributes:
        now: The thing; None before it is opened and after it was let go.
    """

    def __init__(
        self,
        opens: Callable[[], Awaitable[Thing]],
        alive: Callable[[Thing], bool] = lambda _: True,
    ) -> None:
        self.now: Thing | None = None
        self._opens, self._alive = opens, alive
        self._refused: LDAError | EndpointError | None = None
        self._lock = threading.Lock()
        # A lock belongs to an event loop, and a model outlives the loop of one eval.
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )

    async def get(self) -> Thing:
        """The thing, opened if that has not happened or if it ended.

        Raises:
            LDAError: If it can not be opened, at every call.
            EndpointError: The same; only what may pass is tried again.
        """
        with self._lock:
            opening = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with opening:
            if self._refused is not None:
                raise self._refused
            if self.now is None or not self._alive(self.now):
                try:
                    self.now = await self._opens()
                except (LDAError, EndpointError) as error:
                    if not isinstance(error, EndpointUnavailable):
                        self._refused = error
                    raise
            return self.now

    def let_go(self) -> Thing | None:
        """Forget the thing, for whoever closes it."""
        with self._lock:
            thing, self.now = self.now, None
        return thing
