"""When to send a request again, and after how long.

Inspect would repeat a whole completion, which is hundreds of requests here: at a fault
in a thousand requests, about half of all completions of 300 tokens would not end. So
each request is repeated by itself. It holds its whole prompt and its seed, and nothing
of a failed answer is used, so that no token is lost or counted twice.
"""

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

RETRIES = 8
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_ASKED = 300.0
"""An endpoint that asks for more patience than this many seconds gets an error."""

TRANSIENT = frozenset([408, 409, 425, 429])
"""Statuses below 500 that may pass. Of those from 500 on, 501 and 505 may not."""
_LASTING = frozenset([501, 505])
_USED_UP = ("insufficient_quota", "billing_hard_limit_reached")
"""Error codes of a 429 that no waiting cures."""


def may_pass(status: int, body: str) -> bool:
    """Whether a refusal may be gone at the next attempt."""
    if status == 429 and any(code in body for code in _USED_UP):
        return False
    return status in TRANSIENT or (status >= 500 and status not in _LASTING)


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds an answer's headers ask to wait, if they do (RFC 9110, 10.2.3)."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers.get(name, "")) * scale)
        except ValueError:
            continue
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def wait_before(attempt: int, asked: float | None) -> float:
    """Seconds to wait before retry `attempt` (from 0).

    Doubles from half a second to half a minute and is drawn between half of that and
    all of it, so that rollouts refused together do not come back together. What the
    endpoint asked for is waited at least.
    """
    full = min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt)
    drawn = full * (0.5 + 0.5 * random.random())
    return drawn if asked is None else asked + 0.1 * drawn
