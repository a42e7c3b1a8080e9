"""Which sequences a batch takes in, and what is learnt when memory runs out anyway."""

import logging
from collections.abc import Iterable, Sequence

from inspect_lda.engines.base import EngineError
from inspect_lda.engines.budget import STORE_SHARE, Budget, Extent, Sized
from inspect_lda.engines.memory import is_out_of_memory, readable
from inspect_lda.engines.prefill import Prefiller

logger = logging.getLogger(__name__)


class Admission:
    """Keeps a batch and the prefix store within a budget.

    Args:
        budget: Bytes they may take together.
        prefiller: Whose store gives way to rows.
    """

    def __init__(self, budget: Budget, prefiller: Prefiller) -> None:
        self._budget = budget
        self._limit = budget.total
        self._prefiller = prefiller

    def check(self, one: Extent) -> None:
        """Refuse a sequence that the budget can not hold even alone.

        Raises:
            EngineError: Saying what it needs and how to make room.
        """
        self._budget.check(one)

    def fitting(self, running: Iterable[Sized], waiting: Sequence[Extent]) -> int:
        """How many sequences, in order, the budget holds beside the running rows.

        Strictly in order: if shorter ones could overtake, a long one would never find
        room while others keep coming.
        """
        beside = extents(running)
        count = self._budget.fitting(beside, waiting, self._limit)
        # A limit that was lowered is a guess; alone, all that the budget holds may run.
        return count if count or beside else min(1, len(waiting))

    def make_room(self, running: Iterable[Sized], entering: Sequence[Extent]) -> None:
        """Let stored prefixes go as far as running and entering rows need it."""
        free = self._limit - self._budget.needed(extents(running), entering)
        self._prefiller.limit_store(min(free, self._limit // STORE_SHARE))

    def lower(
        self, running: Iterable[Sized], entering: Iterable[Sized], lost: int
    ) -> None:
        """Admit less from now on: at most what these rows need, which are fewer.

        Args:
            running: Rows that stay in the batch.
            entering: Those of the others that may join them next.
            lost: How many start again.
        """
        needed = self._budget.needed(extents(running), extents(entering))
        # At least one less each time, or the same rows could fail for ever.
        self._limit = min(needed, self._limit - 1)
        self._prefiller.limit_store(0)
        logger.warning(
            "out of memory: %d requests start again later, with the same seeds; caches "
            "are held to %s from now on (of %s). A lower -M memory_fraction= or -M "
            "max_batch= avoids this",
            lost,
            readable(max(0, self._limit)),
            self._budget.source,
        )

    def raise_unless_shared(
        self, error: Exception, concerned: Sequence[Extent]
    ) -> None:
        """Raise an error, unless memory ran out for several sequences together.

        Raises:
            EngineError: If memory ran out for one sequence alone.
            Exception: The error, if it is another one.
        """
        if not is_out_of_memory(error):
            raise error
        if len(concerned) > 1:
            return
        # It may be what others failed for that had to share memory with it.
        self._limit = self._budget.total
        [one] = concerned
        raise EngineError(
            f"out of memory with this request alone in the batch: {one.prompt} tokens "
            f"of prompt, up to {one.final} in all. Lower max_tokens, load the weights "
            "in a smaller -M dtype= or use another -M device=. The device said: "
            f"{error}"
        ) from error.with_traceback(None)  # whose frames hold what filled the memory


def extents(rows: Iterable[Sized]) -> list[Extent]:
    """The extent of every row."""
    return [row.extent for row in rows]
