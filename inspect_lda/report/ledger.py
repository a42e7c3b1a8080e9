"""What a run took, from its log: to be held against what was expected."""

from collections.abc import Container, Iterator
from datetime import datetime
from typing import Any

from inspect_ai.log import EvalLog

from inspect_lda.arms import BEFORE, SWEEP
from inspect_lda.calibration.found import read
from inspect_lda.calibration.records import Ledger, Plan
from inspect_lda.errors import LDAError


def ledger_of(log: EvalLog, arms: Container[str] | None = None) -> Ledger:
    """Count the rollouts of a log, and the tokens that each checkpoint read for them.

    Every distinct prompt counts once, as the engine reads it. Time is that of the whole
    eval, loading the pair included; what Inspect took from its cache took none.

    Args:
        log: With samples.
        arms: Count these alone; None counts all.
    """
    rollouts = sampled = scored = 0
    prompts: dict[tuple[str, str], int] = {}
    for sample in log.samples or []:
        if arms is not None and sample.metadata.get("arm", SWEEP) not in arms:
            continue
        told = (sample.output.metadata or {}).get("lda", {})
        lengths = [int(one["n_tokens"]) for one in told.get("evidence", [])]
        rollouts += len(lengths)
        sampled += sum(lengths)
        size = sample.output.usage.input_tokens if sample.output.usage else 0
        ids = len(told["score"]["ids"]) if "score" in told else 0
        scored += max(ids - 1, 0)
        if lengths or ids:
            prompts[sample.output.model.split("(")[0], str(sample.input)] = size - ids
    prefilled = sum(prompts.values())
    return Ledger(
        rollouts=rollouts,
        sampled=sampled,
        prefilled=prefilled,
        forwards=prefilled + sampled - rollouts,
        scored=scored,
        seconds=_seconds(log),
    )


def comparison(plan: Plan, spent: Ledger) -> Iterator[tuple[str, float, float]]:
    """What was expected beside what it took: name, expectation, ledger."""
    expected: dict[str, Any] = plan.estimate.model_dump()
    for name in ("rollouts", "sampled", "prefilled", "forwards", "seconds"):
        yield name, float(expected[name]), float(getattr(spent, name))


def planned(path: str) -> Plan:
    """The plan in a calibration.

    Raises:
        LDAError: If the file holds none.
    """
    plan = read(path).plan
    if plan is None:
        raise LDAError(
            f"--plan {path}: this calibration has no plan. Make one: inspect-lda alpha "
            "PAIR --plan-prompts N --out DIR"
        )
    return plan


def _seconds(log: EvalLog) -> float:
    begun, ended = (
        datetime.fromisoformat(one)
        for one in (log.stats.started_at, log.stats.completed_at)
    )
    return (ended - begun).total_seconds()


def ledger_lines(log: EvalLog, plan: Plan | None) -> Iterator[str]:
    """The ledger in words, and beside an expectation if there was one."""
    spent = ledger_of(log)
    if not spent.rollouts:
        return
    yield (
        f"Took {spent.rollouts:,} rollouts, {spent.sampled:,} sampled and "
        f"{spent.prefilled:,} prompt tokens, {spent.forwards + spent.scored:,} token "
        f"forwards of each checkpoint, {spent.seconds:,.0f} s."
    )
    if plan is None:
        return
    yield "Of it the sweep and the model before training, and the time of everything:"
    for name, expected, took in comparison(plan, ledger_of(log, (SWEEP, BEFORE))):
        off = f" ({took / expected - 1:+.1%})" if expected else ""
        yield f"  {name}: {took:,.0f}, expected {expected:,.0f}{off}"
