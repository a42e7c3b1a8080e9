"""What can go wrong between a client and a server, and which request it happens to."""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Fault = Literal[
    "drop before",  # the connection ends before the server saw the request
    "drop after",  # … after the server answered: the answer is lost
    "delay",  # the answer is late
    "truncate",  # the connection ends in the middle of the answer
    "cut json",  # a whole HTTP answer with half of its JSON
    "429",
    "429 later",  # with Retry-After
    "500",
    "502",
    "503",
    "redirect",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
REASONS = {
    "429": "Too Many Requests",
    "500": "Internal Server Error",
    "502": "Bad Gateway",
    "503": "Service Unavailable",
}


def tenth(*faults: Fault) -> dict[Fault, float]:
    """A share of 10 % of all requests, parted evenly among these faults."""
    return dict.fromkeys(faults, 0.1 / len(faults))


@dataclass
class Lot:
    """Decides which fault meets a request.

    The choice follows from the seed, the request and how often it was asked before, not
    from the order of arrival: concurrent requests meet the same faults in every run,
    and a request that is sent again has a new chance.

    Attributes:
        shares: Fault to the share of requests it meets.
        seed: Seed of the choice.
        counts: How often each fault was dealt; "none" for the others.
    """

    shares: Mapping[Fault, float]
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    _asked: Counter[bytes] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        unknown = self.shares.keys() - set(FAULTS)
        if unknown or not 0 <= math.fsum(self.shares.values()) <= 1:
            raise ValueError(f"shares: got {dict(self.shares)}, of {FAULTS}")

    def draw(self, request: bytes) -> Fault | None:
        """The fault that meets this request now, counted."""
        self._asked[request] += 1
        text = f"{self.seed} {self._asked[request]} ".encode() + request
        point = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") / 2**64
        fault: Fault | None = None
        for one, share in self.shares.items():
            if 0 <= point < share:
                fault = one
            point -= share
        self.counts[fault or "none"] += 1
        return fault

    @property
    def dealt(self) -> int:
        """How many requests met a fault."""
        return self.counts.total() - self.counts["none"]
