"""Hits worth reading, with the tokens that amplification decided."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.log import EvalSample

from inspect_lda.arms import SWEEP
from inspect_lda.errors import LDAError
from inspect_lda.evidence import evidence_of
from inspect_lda.scorers._readout import reading_in
from inspect_lda.statistics.coherence import Limits

SHOWN = 3
NOTABLE = math.log(2)
"""A token less than twice as likely is not worth a mark."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a completion.

    Attributes:
        text: As it was written.
        decisive: How many times more likely amplification made it, or None if it is
            no decisive token.
        trained: How many times more likely training had made it, where single tokens
            are in the log.
    """

    text: str
    decisive: float | None = None
    trained: float | None = None


@dataclass(frozen=True)
class Example:
    """One hit.

    Attributes:
        sample_id: To find it in `inspect view`.
        epoch: Likewise.
        alpha: Amplification.
        prompt: The user's turn.
        pieces: The completion, cut at decisive tokens.
        coherent: By the limits of the run; None without evidence.
        steered: log q - log p_after of every token, where that is in the log.
        uuid: Of the sample, unique among logs.
    """

    sample_id: str
    epoch: int
    alpha: float
    prompt: str
    pieces: tuple[Piece, ...]
    coherent: bool | None
    steered: tuple[float, ...] = ()
    uuid: str | None = None


def pick_examples(
    samples: Sequence[EvalSample], name: str, limits: Limits
) -> tuple[Example, ...]:
    """Up to three hits of the sweep: coherent and mildly amplified ones first."""
    found = [_example(sample, name, limits) for sample in samples if _hit(sample, name)]
    found.sort(key=lambda e: (not e.coherent, abs(e.alpha), e.sample_id, e.epoch))
    chosen: list[Example] = []
    for example in found:
        if all(example.prompt != other.prompt for other in chosen):
            chosen.append(example)
    return tuple(chosen[:SHOWN])


def cut(
    text: str, decisive: Sequence[dict[str, Any]], trained: Sequence[float] = ()
) -> tuple[Piece, ...]:
    """Cut a completion at its decisive tokens.

    The log holds each token's text and its position among the tokens, not its place
    in the text. Each earlier token wrote at least one character as a rule, so a token
    is looked for from there on and after its predecessor; one that is not found (the
    end of turn, half a character) is left unmarked.

    Args:
        text: The completion.
        decisive: The tokens, as evidence has them.
        trained: log p_after - log p_before of every token, if known.
    """
    pieces: list[Piece] = []
    done = 0
    notable = [token for token in decisive if token["log_ratio"] >= NOTABLE]
    for token in sorted(notable, key=lambda token: int(token["index"])):
        word = str(token["text"])
        at = text.find(word, max(done, int(token["index"]))) if word.strip() else -1
        if at < 0:
            continue
        index = int(token["index"])
        learnt = _factor(trained[index]) if index < len(trained) else None
        marked = Piece(word, math.exp(token["log_ratio"]), learnt)
        pieces += [Piece(text[done:at]), marked]
        done = at + len(word)
    pieces.append(Piece(text[done:]))
    return tuple(piece for piece in pieces if piece.text)


def hit_of(value: Any) -> bool | None:
    """Whether a score is a hit; None if it is unscored, or says something else."""
    if isinstance(value, int | float):
        return None if math.isnan(value) else value > 0
    return {"C": True, "I": False}.get(value) if isinstance(value, str) else None


def _hit(sample: EvalSample, name: str) -> bool:
    score = (sample.scores or {})[name]
    arm = (score.metadata or {}).get("arm", SWEEP)
    return bool(hit_of(score.value)) and arm == SWEEP


def _example(sample: EvalSample, name: str, limits: Limits) -> Example:
    metadata = (sample.scores or {})[name].metadata or {}
    reading = reading_in(metadata)
    text = unicodedata.normalize("NFC", sample.output.completion)
    arrays = _arrays(sample)
    return Example(
        sample_id=str(sample.id),
        epoch=sample.epoch,
        alpha=float(metadata.get("alpha", 0.0)),
        prompt=_prompt(sample),
        pieces=cut(
            text,
            metadata.get("decisive", []),
            _differences(arrays, "log_p_after", "log_p_before"),
        ),
        coherent=None if reading is None else limits.admit(reading),
        steered=tuple(_differences(arrays, "log_q", "log_p_after")),
        uuid=sample.uuid,
    )


def _arrays(sample: EvalSample) -> dict[str, list[float]]:
    """The values of single tokens; none without evidence, or in a summary of it."""
    told = (sample.output.metadata or {}).get("lda") or {}
    if not told.get("evidence") or not told["evidence"][0].get("per_token"):
        return {}
    try:
        packed = evidence_of(sample.output.metadata).per_token
        return packed.unpack() if packed else {}
    except ValueError as error:
        raise LDAError(f"sample {sample.id}, epoch {sample.epoch}: {error}") from error


def _differences(arrays: dict[str, list[float]], one: str, other: str) -> list[float]:
    """Zero where both are minus infinity: neither says anything of the other."""
    if not arrays:
        return []
    pairs = zip(arrays[one], arrays[other], strict=True)
    return [0.0 if a == b else a - b for a, b in pairs]


def _factor(ratio: float) -> float:
    """Of a log-ratio, without an overflow for what was all but impossible before."""
    return math.exp(min(ratio, 700.0))


def _prompt(sample: EvalSample) -> str:
    if isinstance(sample.input, str):
        return sample.input
    return next((m.text for m in reversed(sample.input) if m.role == "user"), "")
