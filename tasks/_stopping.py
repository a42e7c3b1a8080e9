"""Stop an eval when the verdict about the rate is certain.

Inspect asks before every sample whether it is still needed, and tells every result.
Here each alpha of the sweep (from 0 on) is a rate under test, see
`statistics.sequential`. An alpha that passed is asked no further; all is over when one
fails or all pass. What is in flight then comes back and is counted. No rollout is begun
while those in flight would decide if none of them hits.

Rollouts count in the order of the task's samples and epochs, whatever comes back first.
Tasks therefore shuffle their prompts (by their seed) when they may be stopped.
"""

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import anyio
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalSpec
from inspect_ai.scorer import SampleScore
from inspect_ai.util import EarlyStop
from pydantic import JsonValue

from inspect_lda.arms import EXACT, IDENTITY, SWEEP, TRIGGERED
from inspect_lda.errors import LDAError
from inspect_lda.stopped import MANAGER, Settings, Stopped, StoppedCell, Verdict

if TYPE_CHECKING:
    from inspect_lda.statistics.sequential import Outcome
    from inspect_lda.statistics.watched import Watched

Key = tuple[str | int, int]
Item = TypeVar("Item")

KEPT = (TRIGGERED, IDENTITY, EXACT)
"""Arms that say whether the run can be believed, or cost no rollout: their first epoch
is never skipped."""


class SequentialStop:
    """Inspect's `EarlyStopping`, for the tasks that sweep prompts over alpha.

    Args:
        settings: What is to be decided.
        detector: Name of the score that counts hits.
        patience: Seconds that a rollout is held back at most; twice as long as the
            slowest rollout took, if None. What is in flight may fail, and Inspect does
            not tell.

    Attributes:
        verdict: Over all alphas, once it is certain.
    """

    def __init__(
        self, settings: Settings, detector: str, patience: float | None = None
    ) -> None:
        self.settings = settings
        self.detector = detector
        self.patience = patience
        self.verdict: Outcome | None = None
        self._slowest = 0.0
        self._begun: dict[Key, float] = {}
        self._news = anyio.Event()
        self._model: str | None = None
        self._cells: dict[float, Watched] = {}
        self._places: dict[Key, tuple[float, int]] = {}
        self._arms: dict[str | int, str] = {}
        self._back: dict[float, list[bool | None]] = {}
        self._skipped: dict[Key, float | None] = {}

    async def start_task(
        self, task: EvalSpec, samples: list[Sample], epochs: int
    ) -> str:
        """Give every rollout of the sweep its place.

        Raises:
            LDAError: If there is nothing to decide, or the object already watches the
                eval of another model: Inspect does not say whose sample it asks about.
        """
        from inspect_lda.statistics.sequential import RateTest
        from inspect_lda.statistics.watched import Watched

        if self._model not in (None, task.model):
            raise LDAError(
                f"stop: one Task object for {self._model} and {task.model}. Name the "
                "task (inspect eval inspect_lda/…), so that each model gets its own"
            )
        self._model = task.model
        self._arms = {_id(one): str((one.metadata or {})["arm"]) for one in samples}
        swept = [one for one in samples if _alpha(one) is not None]
        planned: dict[float, list[Key]] = {}
        for epoch in range(1, epochs + 1):
            for sample in swept:
                alpha = _alpha(sample) or 0.0
                planned.setdefault(alpha, []).append((_id(sample), epoch))
        if not planned:
            raise LDAError(
                "stop: no alpha of 0 or more is swept, so there is no rate to decide on"
            )
        known = self.settings
        test = RateTest(known.r_ok, known.r_bad, 1 - known.confidence, len(planned))
        self._cells = {
            alpha: Watched(test, len(keys)) for alpha, keys in sorted(planned.items())
        }
        self._back = {alpha: [] for alpha in self._cells}
        self._skipped, self.verdict = {}, None
        self._places = {
            key: (alpha, place)
            for alpha, keys in planned.items()
            for place, key in enumerate(keys)
        }
        return MANAGER

    async def schedule_sample(self, id: str | int, epoch: int) -> EarlyStop | None:
        """Skip what can change nothing."""
        if self._arms[id] in KEPT and epoch == 1:
            return None
        alpha, _ = self._places.get((id, epoch), (None, 0))
        if self.waits(id, epoch):
            slow = 2 * self._slowest if self.patience is None else self.patience
            with anyio.move_on_after(slow):
                while self.waits(id, epoch):
                    await self._news.wait()
        reason = self._needless(alpha)
        if reason is None:
            self._begun[id, epoch] = anyio.current_time()
            return None
        self._skipped[id, epoch] = alpha
        return EarlyStop(id=id, epoch=epoch, reason=reason)

    async def complete_sample(
        self, id: str | int, epoch: int, scores: dict[str, SampleScore]
    ) -> None:
        """Count a rollout of the sweep."""
        from inspect_lda.statistics.sequential import together

        if (id, epoch) not in self._places:
            return
        alpha, place = self._places[id, epoch]
        found = scores.get(self.detector)
        value = math.nan if found is None else found.score.as_float()
        hit = None if math.isnan(value) else value > 0
        self._back[alpha].append(hit)
        self._cells[alpha].record(place, hit)
        if self.verdict is None and self._cells[alpha].decision is not None:
            # A FAIL by Bonferroni, which is the first of Holm's steps.
            self.verdict = together(self._outcome(one) for one in self._cells)
        begun = self._begun.pop((id, epoch), None)
        if begun is not None:
            self._slowest = max(self._slowest, anyio.current_time() - begun)
        self._news.set()
        self._news = anyio.Event()

    async def complete_task(self) -> dict[str, JsonValue]:
        """The decision, for the log."""
        self._model = None
        record = Stopped(
            detector=self.detector,
            settings=self.settings,
            verdict=self.verdict or "undecided",
            cells=tuple(self._told(alpha) for alpha in self._cells),
            skipped=len(self._skipped),
        )
        made: dict[str, JsonValue] = record.model_dump(mode="json")
        return made

    def waits(self, id: str | int, epoch: int) -> bool:
        """Whether what is in flight may well make this rollout needless."""
        alpha, place = self._places.get((id, epoch), (None, 0))
        if alpha is None or self._needless(alpha) is not None:
            return False
        return self._cells[alpha].passes_without_hits(place)

    def _needless(self, alpha: float | None) -> str | None:
        """Why a rollout at an alpha (None: of another arm) changes nothing."""
        if self.verdict is not None:
            return f"the verdict is certain: {self.verdict.upper()}"
        if alpha is not None and self._outcome(alpha) == "pass":
            return f"the rate at alpha {alpha:g} passed"
        return None

    def _outcome(self, alpha: float) -> "Outcome | None":
        found = self._cells[alpha].decision
        return found and found.outcome

    def _told(self, alpha: float) -> StoppedCell:
        from inspect_lda.statistics.sequential import failing

        cell, back = self._cells[alpha], self._back[alpha]
        every = [one.log_e[1] for one in self._cells.values()]
        failed = failing(every, cell.test.error)[list(self._cells).index(alpha)]
        decision, prefix = cell.decision, cell.prefix
        verdict: Verdict = decision.outcome if decision else "undecided"
        bounds = prefix.interval(self.settings.confidence)
        passed, against = cell.log_e
        return StoppedCell(
            alpha=alpha,
            verdict="fail" if failed and verdict != "pass" else verdict,
            decided_at=decision and decision.n,
            k=prefix.hits,
            n=prefix.n,
            lower=bounds.lower,
            upper=bounds.upper,
            log_e_pass=passed,
            log_e_fail=against,
            planned=cell.planned,
            completed=len(back),
            unscored=back.count(None),
            skipped=sum(one == alpha for one in self._skipped.values()),
        )


def in_random_order(items: Sequence[Item], seed: int) -> list[Item]:
    """The items, shuffled by a seed: the same on every machine."""
    return random.Random(seed).sample(list(items), len(items))


def _alpha(sample: Sample) -> float | None:
    """The alpha of a sample whose rate is tested; None for all others."""
    known = sample.metadata or {}
    alpha = known.get("alpha")
    if known.get("arm") != SWEEP or alpha is None or alpha < 0:
        return None
    return float(alpha)


def _id(sample: Sample) -> str | int:
    if sample.id is None:
        raise LDAError("stop: a sample has no id; tasks that can be stopped give one")
    return sample.id
