"""The self-test of a loaded pair: identities, noise, signal, the honest alpha."""

import time
from dataclasses import dataclass, field
from itertools import cycle, islice
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor

from inspect_lda.calibration.honest import grid, largest_honest
from inspect_lda.calibration.identity import checkpoint_identities, drawn_identities
from inspect_lda.calibration.noise import Known, Measured
from inspect_lda.calibration.readings import Reading, Single, alone, in_batch
from inspect_lda.calibration.reference import AFFORDABLE, float32_logits, obstacle
from inspect_lda.calibration.result import Identity, Limits, Mean, Point, SelfTest
from inspect_lda.checkpoints.weights import shared_copy
from inspect_lda.engines.prefill import Prompt
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.statistics.means import mean_interval

IDENTITY_TOKENS = 2
"""Tokens at which each checkpoint runs alone: behind a prefill, and behind a step."""


@dataclass(frozen=True)
class Plan:
    """How much to ask.

    Attributes:
        level: "quick" or "full".
        prompts: Two at least.
        rows: Rows of a batch; prompts are repeated until it is full.
        length: Tokens a reply.
        points: Points of the curve a decade of alpha.
        reference: Whether to compute in float32 as well; None where the checkpoints
            are small enough.
        limits: When an alpha is honest.
    """

    level: Literal["quick", "full"]
    prompts: tuple[Prompt, ...]
    rows: int
    length: int
    points: int
    reference: bool | None = False
    limits: Limits = field(default_factory=Limits)

    def batches(self) -> list[tuple[Prompt, ...]]:
        """The prompts, in batches of at most `rows`."""
        starts = range(0, len(self.prompts), self.rows)
        return [self.prompts[start : start + self.rows] for start in starts]

    def filled(self, batch: tuple[Prompt, ...]) -> list[Prompt]:
        """A batch with its prompts repeated until all rows are taken."""
        return list(islice(cycle(batch), self.rows))


@torch.inference_mode()
def run_self_test(decoder: PairDecoder, plan: Plan) -> SelfTest:
    """Test a pair, on the thread of its engine."""
    start = time.perf_counter()
    readings = [_read(decoder, plan, batch) for batch in plan.batches()]
    identities = _identities(decoder, plan, readings[0])
    measured = _measured(decoder, plan, readings)
    points = [_point(measured, alpha) for alpha in grid(plan.points)]
    honest = largest_honest(points, measured.noise_tv, measured.signal_tv, plan.limits)
    return SelfTest(
        level=plan.level,
        precision=decoder.precision,
        form=type(decoder.model).__name__,
        rows=plan.rows,
        prompts=len(plan.prompts),
        tokens=len(plan.prompts) * plan.length,
        identities=identities,
        noise_std=measured.noise_std(),
        noise_kl=measured.noise_kl(),
        signal_std=measured.signal_std(),
        signal_kl=_by_prompt(measured.signal_kl(), plan.length),
        truth_std=measured.truth_std(),
        limits=plan.limits,
        curve=tuple(points),
        honest_alpha=honest,
        seconds=time.perf_counter() - start,
    )


def _read(decoder: PairDecoder, plan: Plan, batch: tuple[Prompt, ...]) -> Reading:
    # An end of turn would be followed by tokens that nobody ever says.
    goes_on = decoder.pair.vocabulary.allowed.clone()
    goes_on[sorted(decoder.pair.eos_ids)] = False
    return in_batch(
        decoder,
        plan.filled(batch),
        length=plan.length,
        keep=len(batch),
        allowed=goes_on.to(decoder.device),
    )


def _identities(
    decoder: PairDecoder, plan: Plan, reading: Reading
) -> tuple[Identity, ...]:
    batch = plan.batches()[0]
    first = slice(0, IDENTITY_TOKENS)
    shown = Reading(
        reading.replies[:, first], reading.after[:, first], reading.before[:, first]
    )
    return (
        *checkpoint_identities(decoder, plan.filled(batch), shown),
        *drawn_identities(decoder, batch[:1]),
    )


def _measured(decoder: PairDecoder, plan: Plan, readings: list[Reading]) -> Measured:
    model, vocabulary = decoder.model, decoder.pair.vocabulary
    # A module tree of its own: other pairs may be running on `after`.
    own = Single.of(shared_copy(model.after)).model
    asked = list(zip(plan.batches(), readings, strict=True))
    apart = [
        alone(own, batch, reading.replies, nudged=True)[0] for batch, reading in asked
    ]
    truth = None
    limit = None if plan.reference else AFFORDABLE
    if plan.reference is not False and obstacle(model, limit) is None:
        truth = _joined(
            [float32_logits(model, batch, reading.replies) for batch, reading in asked]
        )
    after, before = _joined([(one.after, one.before) for one in readings])
    known = Known(
        *(m.to(model.device) for m in (vocabulary.allowed, vocabulary.shared))
    )
    return Measured(after, before, torch.cat(apart), known, truth)


def _joined(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    after, before = (torch.cat(half) for half in zip(*parts, strict=True))
    return after, before


def _point(measured: Measured, alpha: float) -> Point:
    return Point(
        alpha=alpha,
        noise_tv=measured.noise_tv(alpha),
        signal_tv=measured.signal_tv(alpha),
        truth_tv=measured.truth_tv(alpha),
    )


def _by_prompt(values: list[float], length: int) -> Mean:
    means = [fmean(values[i : i + length]) for i in range(0, len(values), length)]
    interval = mean_interval(means)
    return Mean(
        value=fmean(means), lower=max(0.0, interval.lower), upper=interval.upper
    )
