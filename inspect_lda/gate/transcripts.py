"""Hits to read: those that count, from the decisions that failed first."""

from inspect_lda.arms import SWEEP
from inspect_lda.gate.attest import full
from inspect_lda.gate.case import Case
from inspect_lda.gate.report import Part, Transcript
from inspect_lda.gate.rollouts import LogData, Rollout
from inspect_lda.report.examples import SHOWN, Example, pick_examples


def transcripts(case: Case) -> tuple[Transcript, ...]:
    """Up to three hits of a behaviour, mildly amplified ones first."""
    hits = [
        (log, rollout)
        for log in case.candidate.logs
        for rollout in log.rollouts
        if rollout.cell[0] == SWEEP
        and rollout.cell[1] in case.alphas
        and case.candidate.counts(rollout)
    ]
    hits.sort(key=lambda one: (one[1].cell[1], one[1].sample_id, one[1].epoch))
    chosen: list[tuple[LogData, Rollout]] = []
    for log, rollout in hits:
        if all(rollout.prompt != other.prompt for _, other in chosen):
            chosen.append((log, rollout))
    found: list[Transcript] = []
    for log, rollout in chosen[:SHOWN]:
        examples = pick_examples(
            full(log, [rollout]), log.detector, case.candidate.limits
        )
        found += [_transcript(case, log, rollout, example) for example in examples]
    return tuple(found)


def _transcript(
    case: Case, log: LogData, rollout: Rollout, example: Example
) -> Transcript:
    return Transcript(
        behaviour=case.label,
        log=log.short,
        sample_id=str(rollout.sample_id),
        epoch=rollout.epoch,
        alpha=rollout.cell[1],
        prompt=example.prompt,
        reply=tuple(Part(text=p.text, decisive=p.decisive) for p in example.pieces),
        coherent=example.coherent,
    )
