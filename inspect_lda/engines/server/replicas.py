"""Which of several servers of one pair gets a request.

The one with the least to do, except that a prompt goes where it went before: its keys
and values are cached there, for every alpha and epoch. A server that does not answer is
left out for a while and its requests go elsewhere; before it is asked again, it has to
show that it still serves the pair.
"""

import hashlib
import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from inspect_lda.engines.api.errors import EndpointUnavailable
from inspect_lda.engines.api.meter import metering
from inspect_lda.engines.server.wire import PairEndpoint

T = TypeVar("T")

REST = 30.0
"""Seconds for which a server is left out."""
PATIENCE = 8
"""A prompt changes servers where its own has this many requests more than another."""
REMEMBERED = 100_000
"""Prompts whose server is remembered."""


class Replica:
    """One server.

    Args:
        endpoint: Where it is.

    Attributes:
        endpoint: Where it is.
        outstanding: Requests it has not answered.
        checked: Whether it has shown that it serves the pair since it last failed.
    """

    def __init__(self, endpoint: PairEndpoint) -> None:
        self.endpoint = endpoint
        self.outstanding = 0
        self.checked = False
        self._back_at = 0.0

    @property
    def rests(self) -> bool:
        """Whether it failed a moment ago."""
        return time.monotonic() < self._back_at

    def failed(self) -> None:
        """Leave it out for a while."""
        self.checked = False
        self._back_at = time.monotonic() + REST


class Replicas:
    """Spreads requests; safe to share between threads and event loops.

    Args:
        endpoints: The servers.
        check: Raises if one does not serve the pair; awaited before its first request.
        retries: Whether a lone server's requests are sent again before they fail.
    """

    def __init__(
        self,
        endpoints: Sequence[PairEndpoint],
        check: Callable[[PairEndpoint], Awaitable[Any]],
        *,
        retries: bool,
    ) -> None:
        self.all = [Replica(one) for one in endpoints]
        self._check = check
        self._lock = threading.Lock()
        self._places: OrderedDict[bytes, Replica] = OrderedDict()
        # Elsewhere is better than again; and a dead server of ours is started anew.
        self._once = len(self.all) > 1 or not retries

    async def ask(
        self, prompt: Sequence[int], send: Callable[[PairEndpoint], Awaitable[T]]
    ) -> T:
        """Have a request answered by one of the servers.

        Args:
            prompt: Its token ids.
            send: Sends it; may be called once for every server.

        Raises:
            EndpointUnavailable: If none of them answers.
        """
        key = hashlib.sha256(array("q", prompt).tobytes()).digest()
        tried: set[int] = set()
        while True:
            replica = self._take(key, tried)
            try:
                with self._attempts():
                    if not replica.checked:
                        await self._check(replica.endpoint)
                        replica.checked = True
                    return await send(replica.endpoint)
            except EndpointUnavailable:
                replica.failed()
                tried.add(id(replica))
                if len(tried) == len(self.all):
                    raise
            finally:
                with self._lock:
                    replica.outstanding -= 1

    def close(self) -> None:
        """Close all connections."""
        for one in self.all:
            one.endpoint.close()

    def _take(self, key: bytes, tried: set[int]) -> Replica:
        with self._lock:
            left = [one for one in self.all if id(one) not in tried]
            awake = [one for one in left if not one.rests] or left
            chosen = min(awake, key=lambda one: one.outstanding)
            usual = self._places.get(key)
            if usual is not None and usual in awake:
                ahead = usual.outstanding - chosen.outstanding
                chosen = usual if ahead <= PATIENCE else chosen
            self._places[key] = chosen
            self._places.move_to_end(key)
            if len(self._places) > REMEMBERED:
                self._places.popitem(last=False)
            chosen.outstanding += 1
            return chosen

    def _attempts(self) -> AbstractContextManager[Any]:
        return metering(0) if self._once else nullcontext()
