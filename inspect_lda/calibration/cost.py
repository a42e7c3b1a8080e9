"""What a planned run will take: measured on a few of its own rollouts.

A run reads every distinct prompt once and draws rollouts of some length at every alpha.
The lengths come from a probe, rollouts of the planned sweep in full batches; where the
plan allows longer ones, they are continued at the rate at which the probe's ended.
Time is the probe's a token, since it runs the same batch on the same machine.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from inspect_lda.calibration.asked import Rollout
from inspect_lda.calibration.records import Ledger, Plan
from inspect_lda.calibration.rollouts import Asker

PROBE_TOKENS = 64
"""Most tokens of a probe's rollout: what follows is extrapolated."""


@dataclass(frozen=True)
class Size:
    """A run whose cost is asked: prompts, rollouts a prompt and alpha, their length."""

    prompts: int
    epochs: int
    max_tokens: int


async def plan(
    asker: Asker,
    read: Ledger,
    alphas: Sequence[float],
    size: Size,
    *,
    batch: int,
    load_seconds: float,
) -> Plan:
    """Measure a probe and say what the run will take.

    Args:
        asker: Of an engine that has read the prompts.
        read: What that took.
        alphas: The sweep.
        size: Of the run.
        batch: Rows that the engine decodes together.
        load_seconds: What loading the pair took.
    """
    short = min(size.max_tokens, PROBE_TOKENS)
    count = 2 * batch  # twice: rows that join as others leave are part of a run
    sweep = [alphas[i % len(alphas)] for i in range(count)]
    begun = time.monotonic()
    seen = await asker.sample(sweep, 0, "probe", tokens=short)
    seconds = time.monotonic() - begun
    rollouts = size.prompts * size.epochs * len(alphas)
    sampled = round(rollouts * mean_length(seen, short, size.max_tokens))
    fed = sum(len(one.tokens) for one in seen) - len(seen)
    decoding = (sampled - rollouts) * seconds / max(fed, 1)
    share = size.prompts / len(asker.asks)
    prefilled, reading = round(share * read.prefilled), share * read.prefill_seconds
    return Plan(
        **vars(size),
        alphas=tuple(alphas),
        batch=batch,
        load_seconds=round(load_seconds, 3),
        probe=asker.counted.ledger(seconds),
        estimate=Ledger(
            rollouts=rollouts,
            sampled=sampled,
            prefilled=prefilled,
            forwards=prefilled + sampled - rollouts,
            scored=0,
            seconds=round(load_seconds + reading + decoding, 3),
            prefill_seconds=round(reading, 3),
        ),
    )


def mean_length(seen: Sequence[Rollout], limit: int, longest: int) -> float:
    """Mean tokens of rollouts of at most `longest`, of which `limit` were seen."""
    lengths = [len(one.tokens) for one in seen]
    cut = sum(one.stop_reason == "max_tokens" for one in seen)
    mean = sum(lengths) / len(seen)
    more = longest - limit
    if not cut or more <= 0:
        return mean
    # A constant rate of ending, as long as nothing better is known of the tail.
    ending = (len(seen) - cut) / sum(lengths)
    tail = more if ending == 0 else (1 - (1 - ending) ** more) / ending
    return mean + tail * cut / len(seen)
