"""Is the pair the one that is meant, does it differ, and was it found sound?"""

import re
from collections.abc import Iterator, Sequence

from inspect_lda.arms import IDENTITY, SWEEP, TRIGGERED, label
from inspect_lda.calibration.result import honest_text
from inspect_lda.gate.attest import Attested
from inspect_lda.gate.case import Arms, Case
from inspect_lda.gate.checks_log import result
from inspect_lda.gate.policy import ControlRules, PairRules, Policy
from inspect_lda.gate.report import Check
from inspect_lda.gate.rollouts import LogData
from inspect_lda.gate.wording import hits_in
from inspect_lda.report.wording import percent

FLAT = 1e-6
"""Nats a token by which a pair with itself may seem to differ."""

_PINNED = re.compile(r"@[0-9a-f]{40}$")


def pair_checks(case: Case, policy: Policy) -> Iterator[Check]:
    """Everything about the two checkpoints."""
    for log in case.candidate.logs:
        attested = case.attested.get(log.location, ())
        if not attested:
            found = (
                "no sample says which checkpoints ran: was the model lda/…, and logged "
                "with its samples?"
            )
            yield result("pair", log.short, False, found)
            continue
        for one in _distinct(attested):
            yield _pair(log.short, one, policy.pair)
        for nets in sorted({one.nets for one in attested} - {""}):
            found = f"{nets}: rollouts are amplified less than their alpha says"
            yield Check(name="held back", subject=log.short, status="note", found=found)
        if policy.logs.self_test:
            yield _self_test(log.short, attested)
    yield from _one_pair(case)
    yield _differs(case)


def evidence_checks(case: Case) -> Iterator[Check]:
    """Evidence of every rollout, coherent text at every alpha that is counted."""
    for alpha in case.alphas:
        cell = (SWEEP, alpha)
        share = case.candidate.coherent_share(cell)
        subject = f"{case.label}@{alpha:g}"
        hits = [one for one in case.candidate.cells[cell] if one.hit]
        told = [one for one in hits if one.origin is not None]
        if case.rules.count == "new" and len(told) < len(hits):
            found = f"{len(hits) - len(told):,} of {len(hits):,} hits do not say where "
            found += "they come from, so that none of them would count: count others"
            yield result("origin", subject, False, found)
        if share is None:
            bare = [one for one in case.candidate.cells[cell] if one.reading is None]
            found = f"{len(bare):,} rollouts carry no evidence"
            if case.rules.count == "all" and case.rules.min_coherent == 0:
                yield Check(
                    name="evidence", subject=subject, status="note", found=found
                )
            else:
                found += ": score them with inspect_lda/likelihood_coherence, or set"
                found += " count: all and min_coherent: 0"
                yield result("evidence", subject, False, found)
            continue
        least = case.rules.min_coherent
        found = f"{percent(share)} of the rollouts are coherent, need {percent(least)}"
        if share < least:
            found += ": broken text shows nothing, so sweep smaller alphas"
        yield result("coherence", subject, share >= least, found)


def control_checks(case: Case) -> Iterator[Check]:
    """What the other arms must show."""
    for arm, rules in case.rules.controls.items():
        cells = [cell for cell in case.candidate.cells if cell[0] == arm]
        if arm == TRIGGERED:  # below 0 it shows what is left of the behaviour
            cells = [cell for cell in cells if cell[1] >= 0]
        if not cells:
            found = f"no rollouts in the arm '{arm}', which the policy requires"
            yield result("control", f"{case.label}: {arm}", False, found)
        for cell in cells:
            yield _control(case, cell, rules)


def _pair(subject: str, one: Attested, rules: PairRules) -> Check:
    wrong = [
        f"{side} is {found}, the policy wants {wanted}"
        for side, found, wanted in (
            ("after", one.after, rules.after),
            ("before", one.before, rules.before),
        )
        if wanted is not None and wanted != found
    ]
    if rules.pinned:
        wrong += [
            f"{name} is not known by commit (name@40 hex digits)"
            for name in (one.after, one.before)
            if not _PINNED.search(name or "")
        ]
    if one.after == one.before:
        wrong.append("both are the same checkpoint: there is no training to amplify")
    found = f"{one.after} against {one.before}"
    return result("pair", subject, not wrong, "; ".join([found, *wrong]))


def _one_pair(case: Case) -> Iterator[Check]:
    """Rollouts add up only if they are of the same weights."""
    every = [one for found in case.attested.values() for one in found]
    pairs = [f"{one.after} against {one.before}" for one in _distinct(every)]
    if len(pairs) > 1:
        found = f"{len(pairs)} pairs: {'; '.join(pairs)}. Gate each on its own"
        yield result("one experiment", case.label, False, found)


def _distinct(attested: Sequence[Attested]) -> list[Attested]:
    """One of each pair of checkpoints."""
    return list({(one.after, one.before): one for one in attested}.values())


def _self_test(subject: str, attested: tuple[Attested, ...]) -> Check:
    made = [one for one in attested if one.noise.self_test is not None]
    broken = [one for one in made if not one.noise.passed]
    noisy = [one.alpha for one in made if one.noise.honest is False]
    if len(made) < len(attested):
        found = "none was made. Run without -M self_test=off, or set self_test: false"
    elif broken:
        found = "its identities do not hold: inspect-lda check says which"
    elif noisy:
        listed = ", ".join(f"{alpha:g}" for alpha in noisy)
        found = f"alpha {listed} amplifies noise (-M allow_noise=true)"
    else:
        honest = honest_text(attested[0].noise.honest_alpha)
        return result("self-test", subject, True, f"passed; honest alpha {honest}")
    return result("self-test", subject, False, found)


def _differs(case: Case) -> Check:
    """No log may be of one model against itself, whatever the others are of."""
    most = min(map(_largest_kl, case.candidate.logs))
    found = f"KL(after || before) reaches {most:.2g} nats a token"
    if not most > FLAT:
        found += ": the checkpoints say the same, so that no behaviour could show"
    return result("difference", case.label, most > FLAT, found)


def _largest_kl(log: LogData) -> float:
    seen = [one.kl_max for one in log.rollouts if one.cell[0] == SWEEP]
    return max((kl for kl in seen if kl is not None), default=0.0)


def _control(case: Case, cell: tuple[str, float], rules: ControlRules) -> Check:
    subject = f"{case.label}: {label(cell[1], cell[0])}"
    if cell[0] == IDENTITY and rules.min_equal is not None:
        return _identity(subject, case.candidate, rules)
    n = len(case.candidate.cells[cell])
    k = sum(one.hit for one in case.candidate.cells[cell])
    wrong = []
    if n < rules.min_rollouts:
        wrong.append(f"fewer than {rules.min_rollouts:,}")
    if rules.min_rate is not None and k / n < rules.min_rate:
        wrong.append(
            f"less than {percent(rules.min_rate)}: it would miss the behaviour"
        )
    if rules.max_rate is not None and k / n > rules.max_rate:
        wrong.append(
            f"more than {percent(rules.max_rate)}: hits that training did not make"
        )
    if rules.max_hits is not None and k > rules.max_hits:
        wrong.append(f"more than {rules.max_hits}: hits that training did not make")
    found = hits_in(k, n)
    return result("control", subject, not wrong, ", ".join([found, *wrong]))


def _identity(subject: str, arms: Arms, rules: ControlRules) -> Check:
    equal = sum(log.identity[0] for log in arms.logs)
    n = sum(log.identity[1] for log in arms.logs)
    share = equal / n if n else 0.0
    found = f"{equal:,} of {n:,} texts of the pair with itself are those of alpha 0"
    enough = n >= rules.min_rollouts and share >= (rules.min_equal or 0.0)
    return result("control", subject, enough, found)
