"""Rollouts of a prompt set straight from an engine, and what coherence is read off."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from inspect_lda.calibration.asked import Ask, Counted, Rollout
from inspect_lda.calibration.records import Settings
from inspect_lda.engines.base import (
    Engine,
    Request,
    Sampling,
    ScoreRequest,
    TokenCurves,
)
from inspect_lda.errors import LDAError
from inspect_lda.seeds import derive_seed
from inspect_lda.statistics.coherence import reading_of

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class Asker:
    """Asks one engine a prompt set, at any alpha.

    The stream of a rollout depends on its prompt and turn and not on alpha: rollouts
    at two alphas are paired.

    Args:
        engine: Runs the pair.
        tokenizer: That of `after`, which reads the completions.
        asks: The prompts.
        settings: Temperature, length and seed.
        progress: Told about every rollout.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Any,
        asks: Sequence[Ask],
        settings: Settings,
        progress: Progress,
    ) -> None:
        self.asks = tuple(asks)
        self.counted = Counted()
        self._engine = engine
        self._tokenizer = tokenizer
        self._settings = settings
        self._progress = progress

    async def prefill(self) -> None:
        """Read every prompt once, so that rollouts begin with their first token."""
        begun = time.monotonic()
        await self.sample([0.0] * len(self.asks), 0, "prompts", tokens=1)
        self.counted.prefill_seconds = time.monotonic() - begun

    async def sample(
        self, alphas: Sequence[float], first: int, stage: str, tokens: int | None = None
    ) -> list[Rollout]:
        """Sample one rollout an entry of `alphas`.

        Args:
            alphas: Amplification of each.
            first: Number of the first rollout. Rollout i is of prompt i modulo their
                number, in its turn i // number: equal numbers are paired.
            stage: What it is for, in words.
            tokens: Most tokens, if not those of the settings.
        """
        done = 0

        async def one(place: int, alpha: float) -> Rollout:
            nonlocal done
            turn, index = divmod(first + place, len(self.asks))
            rollout = await self._one(self.asks[index], turn, alpha, tokens)
            done += 1
            self._progress(stage, done, len(alphas))
            return rollout

        self._progress(stage, 0, len(alphas))
        return await _together(map(one, range(len(alphas)), alphas))

    async def curves(
        self, rollouts: Sequence[Rollout], alphas: Sequence[float]
    ) -> list[TokenCurves]:
        """Compare the whole distributions along rollouts, all alphas from one pass.

        Raises:
            LDAError: If the engine does not know whole distributions.
        """
        scored = await _together(
            self._engine.score(
                ScoreRequest(
                    prompt=one.ask.ids,
                    continuation=one.tokens,
                    alphas=(0.0,),
                    temperature=self._settings.temperature,
                    curves=tuple(alphas),
                )
            )
            for one in rollouts
        )
        self.counted.scored += sum(len(one.tokens) - 1 for one in rollouts)
        found = [one.curves for one in scored if one.curves is not None]
        if len(found) < len(rollouts):
            raise LDAError(
                "this engine does not know whole distributions, which a calibration "
                "needs. Calibrate with engine=transformers and hand the file on: "
                "-M calibration=FILE"
            )
        return found

    async def _one(
        self, ask: Ask, turn: int, alpha: float, tokens: int | None
    ) -> Rollout:
        settings = self._settings
        completion = await self._engine.generate(
            Request(
                prompt=ask.ids,
                alpha=alpha,
                sampling=Sampling(
                    temperature=settings.temperature,
                    seed=derive_seed(settings.seed, "calibration", ask.id, turn),
                ),
                max_tokens=settings.max_tokens if tokens is None else tokens,
                evidence="summary",
            )
        )
        if completion.evidence is None or not completion.tokens:
            raise LDAError(
                f"prompt '{ask.id}' left no room for a completion: it has "
                f"{len(ask.ids)} tokens. Leave it out"
            )
        self.counted.rollouts += 1
        self.counted.sampled += len(completion.tokens)
        self.counted.read[ask.ids] = len(ask.ids)
        text = self._tokenizer.decode(completion.tokens, skip_special_tokens=True)
        reading = reading_of(completion.evidence, text)
        return Rollout(
            ask,
            completion.tokens,
            completion.stop_reason,
            completion.evidence,
            reading,
        )


async def _together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all at once; the first failure ends the others."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
