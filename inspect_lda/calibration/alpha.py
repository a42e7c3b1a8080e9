"""Choose alpha by what it costs: a KL budget a token, checked on real rollouts.

1. Is there anything to amplify? KL(after || before) must exceed the noise.
2. Rollouts at alpha 0 and one teacher-forced pass over them give KL(q || p_after) and
   surprise at every alpha. The KL budget, a margin of surprise and the largest honest
   alpha of the self-test each cap alpha.
3. Real rollouts below the cap, paired by prompt, until the coherent share is known to
   be at least 80% of that at alpha 0.

docs/alpha.md says why, with measurements.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from inspect_lda.calibration.asked import Asked, Rollout
from inspect_lda.calibration.coherent import Sample, Search, tidy
from inspect_lda.calibration.curves import (
    GRID,
    alpha_of_kl,
    alpha_of_surprise,
    clustered_mean,
    pool,
)
from inspect_lda.calibration.found import LARGEST, Calibration, Limit
from inspect_lda.calibration.records import (
    PairRecord,
    Point,
    Reference,
    Settings,
)
from inspect_lda.calibration.rollouts import Asker, Progress
from inspect_lda.engines.base import Engine
from inspect_lda.errors import LDAError
from inspect_lda.statistics.coherence import MIN_REFERENCE, Limits, limits_of

NOISE = 1e-9
"""Mean KL(after || before) a token that float32 arithmetic alone may leave."""

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of alpha, for a sweep: the rate of a behaviour need not grow with alpha."""


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


async def calibrate(
    engine: Engine,
    tokenizer: Any,
    asked: Asked,
    pair: PairRecord,
    settings: Settings,
    *,
    honest_alpha: float | None = None,
    noise_kl: float = NOISE,
    progress: Progress = silent,
) -> Calibration:
    """Find the largest alpha within all limits.

    Args:
        engine: Runs the pair.
        tokenizer: That of `after`.
        asked: At least 20 prompts, better 64.
        pair: For the record.
        settings: Budget, margins and sizes.
        honest_alpha: Largest alpha whose amplified noise is tolerable, from the
            self-test, if it was run.
        noise_kl: Mean KL(after || before) a token of a pair without a difference.
        progress: Told what is being done.

    Returns:
        The calibration; one without an alpha says why there is none.

    Raises:
        LDAError: If there are too few prompts.
    """
    _enough(asked)
    begun = time.monotonic()
    asker = Asker(engine, tokenizer, asked.asks, settings, progress)
    await asker.prefill()
    base = await asker.sample([0.0] * len(asked.asks), 0, "rollouts at alpha 0")
    limits = limits_of([one.reading for one in base])
    reference = _reference(base, limits)
    found: dict[str, Any] = {"invalid": _nothing(reference, noise_kl)}
    if found["invalid"] is None:
        progress("curves", 0, 1)
        curves = await asker.curves(base, (0.0, *GRID))
        points = pool((0.0, *GRID), [one.ask.cluster for one in base], curves)
        progress("curves", 1, 1)
        target = settings.keep * reference.coherent / reference.rollouts
        search = Search(_paired(asker, settings), limits, target, settings)
        found = await _choose(points, search, settings, honest_alpha)
    return Calibration(
        pair=pair,
        prompts=asked.record,
        settings=settings,
        reference=reference,
        alpha_honest=honest_alpha,
        ledger=asker.counted.ledger(time.monotonic() - begun),
        **found,
    )


def _enough(asked: Asked) -> None:
    if len({ask.cluster for ask in asked.asks}) < MIN_REFERENCE:
        raise LDAError(
            f"prompts: {len(asked.asks)} are too few for a calibration, whose limits "
            "are quantiles of rollouts at alpha 0. Give at least "
            f"{MIN_REFERENCE}, better 64"
        )


async def _choose(
    points: Sequence[Point], search: Search, settings: Settings, honest: float | None
) -> dict[str, Any]:
    """The fields of a calibration that has something to amplify."""
    alpha_kl = alpha_of_kl(points, settings.kl_budget)
    alpha_surprise = alpha_of_surprise(points, settings.margin)
    caps: list[tuple[float, Limit]] = [(LARGEST, "range")]
    if alpha_kl is not None:
        caps.append((alpha_kl, "kl_budget"))
    if alpha_surprise is not None:
        caps.append((alpha_surprise, "surprise"))
    if honest is not None:
        caps.append((honest, "noise"))
    cap, limited_by = min(caps)
    found: dict[str, Any] = {
        "alpha_kl": alpha_kl,
        "alpha_surprise": alpha_surprise,
        "curves": tuple(points),
    }
    if cap < GRID[0]:
        why = f"{limited_by} allows no alpha above {cap:.2g}"
        return {**found, "invalid": why}
    alpha, trials = await search(tidy(cap))
    found["trials"] = tuple(trials)
    if alpha is None:
        why = f"rollouts are not coherent even at alpha {trials[-1].alpha:g}"
        return {**found, "invalid": why}
    found["alpha"] = alpha
    found["limited_by"] = limited_by if alpha == tidy(cap) else "coherence"
    found["grid"] = (-1.0, 0.0, *(nearest(alpha * share) for share in SHARES))
    return found


def _nothing(reference: Reference, noise_kl: float) -> str | None:
    """Why there is nothing to amplify; None if there is something."""
    if reference.pair_kl > noise_kl:
        return None
    return (
        f"nothing to amplify: KL(after || before) is {reference.pair_kl:.2g} nats a "
        f"token, the noise {noise_kl:.2g}. Are both the same checkpoint?"
    )


def _paired(asker: Asker, settings: Settings) -> Sample:
    """Batches over the prompts in their order: all alphas see the same ones."""

    async def sample(alpha: float, look: int) -> Sequence[Rollout]:
        stage = f"coherence at alpha {alpha:g}"
        return await asker.sample(
            [alpha] * settings.batch, look * settings.batch, stage
        )

    return sample


def _reference(base: Sequence[Rollout], limits: Limits) -> Reference:
    tokens = np.array([one.evidence.n_tokens for one in base], dtype=float)
    sums = np.array([one.evidence.kl_mean for one in base]) * tokens
    mean, error = clustered_mean([one.ask.cluster for one in base], sums, tokens)
    return Reference(
        rollouts=len(base),
        tokens=int(tokens.sum()),
        coherent=sum(limits.admit(one.reading) for one in base),
        limits=limits,
        pair_kl=float(mean),
        pair_kl_se=float(error),
        surprise=-sum(one.log_p for one in base) / float(tokens.sum()),
    )


def nearest(alpha: float) -> float:
    """Three digits: an alpha becomes part of names."""
    return float(f"{alpha:.3g}")
