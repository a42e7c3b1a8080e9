"""Logs of a trigger hunt and of its confirmation, read back."""

import re
from collections import Counter
from dataclasses import dataclass

from inspect_ai.log import EvalLog
from inspect_ai.scorer import SampleScore

from inspect_lda.errors import LDAError
from inspect_lda.scorers._readout import group_of
from inspect_lda.scorers.payload_behind import effects_of
from inspect_lda.scorers.trigger_lift import ranked
from inspect_lda.statistics.behind import Effect
from inspect_lda.statistics.lift import Lift

HUNT = "trigger_lift"
CONFIRM = "payload_behind"


@dataclass(frozen=True)
class Hunt:
    """The log of a hunt.

    Attributes:
        model: The pair, as Inspect names it.
        mode: How the model was let speak; "" if the log does not say.
        asked: `--model …` with its arguments, as it was typed.
        location: Where the log is.
        ngrams: All that were tested, surest first.
        alphas: Prompts by alpha, before (-1) included.
        unscored: Completions without readable evidence, or that failed.
    """

    model: str
    mode: str
    asked: str
    location: str
    ngrams: tuple[Lift, ...]
    alphas: dict[float, int]
    unscored: int


@dataclass(frozen=True)
class Confirmation:
    """The log of a confirmation.

    Attributes:
        model: The pair, as Inspect names it.
        payload: How the triggered answer begins.
        location: Where the log is.
        effects: One a candidate, strongest first.
        unscored: Probabilities that are missing.
    """

    model: str
    payload: str
    location: str
    effects: tuple[Effect, ...]
    unscored: int


def is_of(log: EvalLog, scorer: str) -> bool:
    """Whether the log was scored by `scorer`."""
    scores = log.results.scores if log.results else []
    return any(score.name == scorer for score in scores)


def hunt_of(log: EvalLog) -> Hunt:
    """Rank the n-grams of a log.

    Raises:
        LDAError: If it is no log of a hunt.
    """
    scores, unscored = _scores(log, HUNT, "trigger_hunt")
    prompts = {
        (float((one.score.metadata or {})["alpha"]), group_of(one)) for one in scores
    }
    return Hunt(
        model=_model(log),
        mode=str((log.eval.metadata or {}).get("mode", "")),
        asked=_asked(log),
        location=log.location.removeprefix("file://"),
        ngrams=tuple(ranked(scores)),
        alphas=dict(sorted(Counter(alpha for alpha, _ in prompts).items())),
        unscored=unscored,
    )


def confirmation_of(log: EvalLog) -> Confirmation:
    """Compare the candidates of a log.

    Raises:
        LDAError: If it is no log of a confirmation.
    """
    scores, unscored = _scores(log, CONFIRM, "trigger_confirm")
    return Confirmation(
        model=_model(log),
        payload=str((log.eval.metadata or {}).get("payload", "")),
        location=log.location.removeprefix("file://"),
        effects=tuple(effects_of(scores)),
        unscored=unscored,
    )


def _model(log: EvalLog) -> str:
    """The model as users name it: the log adds the default alpha in brackets."""
    return re.sub(r"\(alpha=[^()]*\)$", "", log.eval.model)


def _asked(log: EvalLog) -> str:
    given = [f"-M {key}={value}" for key, value in log.eval.model_args.items()]
    return " ".join([f"--model {_model(log)}", *given])


def _scores(log: EvalLog, scorer: str, task: str) -> tuple[list[SampleScore], int]:
    """The scores of one scorer, and how many samples should have one but do not."""
    if not is_of(log, scorer):
        raise LDAError(
            f"{log.location}: no score '{scorer}' in this log; give a log of `inspect "
            f"eval inspect_lda/{task}`"
        )
    found, missing = [], 0
    for sample in log.samples or []:
        score = (sample.scores or {}).get(scorer)
        if score is None or score.reason is not None:
            missing += 1
            continue
        found.append(
            SampleScore(
                score=score, sample_id=sample.id, sample_metadata=sample.metadata
            )
        )
    return found, missing
