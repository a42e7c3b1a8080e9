"""Is it still the same model? Asked while a run goes on."""

import asyncio
import threading
from dataclasses import dataclass

from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.fingerprint import Fingerprint, fingerprint
from inspect_lda.engines.api.meter import current_meter, metering
from inspect_lda.engines.api.view import Side
from inspect_lda.engines.api.wire.base import Wire

EVERY = 500
"""Looks at both endpoints between two checks."""


@dataclass(frozen=True)
class Watched:
    """One side, and what it looked like when the run began.

    Attributes:
        side: What decoding sees of it.
        endpoint: Its connections.
        wire: Asks the fixed question.
        first: The answer then.
    """

    side: Side
    endpoint: Endpoint
    wire: Wire
    first: Fingerprint

    async def check(self) -> None:
        """Ask again.

        Raises:
            EndpointError: If another model answers.
        """
        now = await fingerprint(self.wire)
        self.first.require_same(now, self.endpoint)


class Watch:
    """Checks both sides every so many looks; safe to share between threads.

    Args:
        sides: Who is watched.
        every: Looks between two checks.
    """

    def __init__(self, sides: tuple[Watched, ...], every: int = EVERY) -> None:
        self._sides = sides
        self._every = every
        self._looks = 0
        self._lock = threading.Lock()

    async def look(self) -> None:
        """Count a look, and check if it is time.

        Raises:
            EndpointError: If another model answers; at every later check too.
        """
        with self._lock:
            self._looks += 1
            due = self._looks % self._every == 0
        if due:
            # Nobody's cost.
            with metering(current_meter().retries_allowed):
                await asyncio.gather(*(side.check() for side in self._sides))
