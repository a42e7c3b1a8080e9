"""Seeds: literal when given, fresh when not, and derived where streams must differ.

`GenerateConfig.seed` is literal: the same seed, prompt and settings give the same text.
Inspect hands one seed to every epoch of a sample, and no public interface tells a
provider which epoch it serves, so under `--seed` epochs would repeat each other: a task
that wants reproducible epochs must pass `derive_seed(seed, sample.id, epoch)`, as ours
do (`TaskState.epoch` is public). For other tasks `RepeatWarning` says so once.
"""

import hashlib
import logging
import secrets
import threading
from collections.abc import Hashable

logger = logging.getLogger(__name__)

MAX_SEED = 2**63 - 1

_SHOWN = 2**53 - 1
"""Derived and fresh seeds stay below this: a log viewer shows all their digits."""

_REMEMBERED = 1_000_000


def fresh_seed() -> int:
    """A seed from the operating system."""
    return secrets.randbits(53)


def derive_seed(seed: int, *parts: str | int) -> int:
    """A seed for one stream of several: the same in every process and on every machine.

    Example:
        >>> derive_seed(1, "sample-3", 2) == derive_seed(1, "sample-3", 2)
        True
        >>> derive_seed(1, "sample-3", 2) == derive_seed(1, "sample-3", 1)
        False
    """
    digest = hashlib.sha256(repr((seed, *parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") & _SHOWN


def choice_seed(seed: int | None, choice: int) -> int:
    """The seed of choice `choice` of a request: the first takes the seed literally."""
    if seed is None:
        return fresh_seed()
    return seed if choice == 0 else derive_seed(seed, "choice", choice)


class RepeatWarning:
    """Warns once a process when a seeded request is asked a second time."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._warned = False
        self._lock = threading.Lock()

    def note(self, seed: int, *request: Hashable) -> None:
        """Remember a finished request; warn if an equal one was finished before."""
        key = hashlib.blake2b(repr((seed, request)).encode(), digest_size=16).digest()
        with self._lock:
            repeated = key in self._seen
            if len(self._seen) < _REMEMBERED:
                self._seen.add(key)
            if not repeated or self._warned:
                return
            self._warned = True
        logger.warning(
            "seed=%d was asked twice with the same prompt and settings, which gives "
            "the same text again: such rollouts are one observation, not two. Inspect "
            "passes --seed to every epoch alike; leave it out (each rollout then draws "
            "a fresh seed, kept in its evidence), or derive a seed per sample and "
            "epoch with inspect_lda.seeds.derive_seed.",
            seed,
        )
