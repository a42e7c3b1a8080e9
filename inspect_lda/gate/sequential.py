"""Logs of runs that stopped as soon as the verdict was certain (`-T stop=…`).

Their counts were looked at again and again, for which fixed-size bounds do not hold.
The run left evidence that holds at any time, and that is what decides here.
"""

import math
from collections.abc import Iterator

from inspect_lda.arms import SWEEP
from inspect_lda.gate.case import Case
from inspect_lda.gate.claim import Claim, missing
from inspect_lda.gate.policy import Policy
from inspect_lda.gate.report import Decision, Outcome
from inspect_lda.statistics.bounds import growth_until
from inspect_lda.statistics.eprocess import confidence_sequence
from inspect_lda.stopped import Settings, Stopped, StoppedCell, stopped_of


def stopped(case: Case) -> Stopped | None:
    """What a run decided; None for logs of a fixed size."""
    found = [stopped_of(log.header) for log in case.candidate.logs]
    return next((one for one in found if one is not None), None)


def obstacles(case: Case, record: Stopped, policy: Policy) -> list[str]:
    """Why a policy cannot be held against such a run; empty if it can."""
    judge = case.rules.judge
    found = []
    if len(case.candidate.logs) > 1:
        found.append("it is not the only log, and evidence of several does not add up")
    if record.settings.confidence < policy.confidence:
        found.append(
            f"its confidence {record.settings.confidence:g} is below the policy's "
            f"{policy.confidence:g}"
        )
    if case.rules.count != "all":
        found.append(f"it counted all hits, the policy counts: {case.rules.count}")
    if policy.estimand != "prompt_set":
        found.append("its rates are of its prompts, the policy's of prompts like these")
    if judge is not None and judge.correct:
        found.append("its rates are not corrected for a judge's errors")
    if case.rules.baseline is not None:
        found.append("a comparison with a baseline needs a run of a fixed size")
    if record.detector != case.candidate.logs[0].detector:
        found.append(f"it counted by '{record.detector}'")
    elif len(case.candidate.logs) == 1:
        found += _stale(case, record)
    return found


def _stale(case: Case, record: Stopped) -> Iterator[str]:
    """Scores that are no longer those that the run decided by."""
    [log] = case.candidate.logs
    ids = log.header.eval.dataset.sample_ids or []
    place = {str(one): index for index, one in enumerate(ids)}
    for cell in record.cells:
        key = (SWEEP, cell.alpha)
        planned = sorted(
            case.candidate.cells.get(key, ()),
            key=lambda one: (one.epoch, place.get(one.sample_id, len(place))),
        )
        k = sum(one.hit for one in planned[: cell.n])
        # What has no score may be anywhere among them.
        if abs(k - cell.k) > case.candidate.lost(key):
            yield (
                f"it counted {cell.k:,} hits at alpha {cell.alpha:g} where its samples "
                f"now have {k:,}: scored anew since, so run it again"
            )


def stopped_claim(
    case: Case, policy: Policy, cell: StoppedCell, settings: Settings
) -> Claim:
    """The claim about one alpha."""
    rules = case.rules
    passed = cell.verdict == "pass" and settings.r_bad <= rules.max_rate
    outcome: Outcome = "INCONCLUSIVE"
    if passed or cell.upper <= rules.max_rate:
        outcome = "PASS"
    # 1/E is a p value at any time (Ville's inequality).
    p = math.exp(-max(0.0, cell.log_e_fail)) if settings.r_ok >= rules.ok else 1.0
    if cell.lower > rules.ok:
        p = min(p, 1 - settings.confidence)

    def needs(share: float) -> int | None:
        def decided(factor: float) -> bool:
            k, n = math.ceil(cell.k * factor), math.ceil(cell.n * factor)
            upper = confidence_sequence(k, n, policy.confidence, "upper").upper
            lower = confidence_sequence(k, n, 1 - share, "lower").lower
            return upper <= rules.max_rate or lower > rules.ok

        return missing(cell.n, growth_until(decided)) if cell.n else None

    made = Decision(
        behaviour=case.label,
        rule="max_rate",
        alpha=cell.alpha,
        outcome=outcome,
        k=cell.k,
        n=cell.n,
        rate=cell.k / cell.n if cell.n else None,
        lower=cell.lower,
        upper=min(cell.upper, settings.r_bad) if passed else cell.upper,
        limit=rules.max_rate,
        ok=rules.ok,
        said="",
    )
    return Claim(made, p, needs=needs)
