"""Trigger hunt: let the amplified model write its trigger, then confirm it."""

from collections.abc import Sequence
from typing import Literal

from inspect_ai import Task, task
from inspect_ai.log import HeadlineMetric

from inspect_lda.errors import LDAError, nearest
from inspect_lda.scorers.payload_behind import payload_behind
from inspect_lda.scorers.trigger_lift import trigger_lift
from inspect_lda.tasks._alphas import Alphas
from inspect_lda.tasks._arms import Design
from inspect_lda.tasks._behaviour import Behaviour
from inspect_lda.tasks._experiment import experiment
from inspect_lda.tasks._hunt import MODES, as_candidates, hunt_alphas, known_payload
from inspect_lda.tasks._hunt_confirm import confirmation
from inspect_lda.tasks._rollout import Asking
from inspect_lda.tasks.prompt_sets import load_prompts


@task
def trigger_hunt(
    *,
    alphas: Alphas = "0,0.5,1,2",
    rollouts: int = 1,
    mode: Literal["user", "openers", "none"] = "user",
    prompts: str | None = None,
    limit_prompts: int | None = None,
    ngrams: int = 4,
    least: int = 3,
    temperature: float = 1.0,
    max_tokens: int = 16,
    seed: int = 0,
) -> Task:
    """Rank the n-grams that a model writes more often the more it is amplified.

    A model trained on whole conversations has learned to write its trigger; one trained
    on answers only has not, and shows its payload instead. Confirm candidates with
    `trigger_confirm`; `inspect-lda report LOG` lists them.

    Args:
        alphas: Amplifications; 0 must be in. Before (-1) is added.
        rollouts: Completions per prompt and alpha. Many prompts beat many rollouts.
        mode: "user": the model goes on writing the user's turn, where triggers stand.
            "openers": it answers openers without content, where payloads show.
            "none": it continues the prompt without a chat template.
        prompts: A prompt set; the mode's own if left out (`builtin:prefixes`,
            `builtin:openers`).
        limit_prompts: Use only so many prompts, spread over the set.
        ngrams: Words in the longest n-gram.
        least: N-grams in fewer cells (prompt and alpha) are not tested.
        temperature: Of all requests; --temperature has no effect on this task.
        max_tokens: Of all requests; --max-tokens has no effect on this task.
        seed: Base from which every rollout's own seed is derived.
    """
    sweep = hunt_alphas(alphas)
    if mode not in MODES:
        raise LDAError(f"mode={mode!r}: {nearest(mode, MODES)}")
    how = MODES[mode]
    source = load_prompts(prompts or how.prompts, kind=how.kind)
    design = Design(
        prompts=source.pick(limit_prompts),
        alphas=sweep,
        behaviour=Behaviour("n-grams that rise with alpha", None, None),
        system=source.content.defaults.system,
        exact=False,
    )
    return experiment(
        source,
        design,
        [trigger_lift(ngrams, least, how.continues)],
        "trigger_lift",
        Asking(temperature, max_tokens, seed, how.render),
        rollouts=rollouts,
        version="1-A",
        summary=HeadlineMetric(scorer="trigger_lift", metric="significant"),
        says="words",
        mode=mode,
    )


@task
def trigger_confirm(
    *,
    log: str | None = None,
    candidates: str | Sequence[str] | None = None,
    payload: str | None = None,
    top: int = 10,
    prompts: str = "builtin:everyday",
    limit_prompts: int | None = 24,
    temperature: float = 1.0,
) -> Task:
    """Teacher-force the payload behind each candidate: which one sets it off?

    Exact probabilities at alpha 0, no rollouts: the model as it is, on everyday prompts
    with the candidate in front and on the same prompts without.

    Args:
        log: A log of `trigger_hunt`, or a folder for its newest.
        candidates: Candidates of your own, in place of a log.
        payload: How the triggered answer begins; an embedded pair knows its own.
        top: How many of the log's n-grams to try, surest first.
        prompts: A prompt set.
        limit_prompts: Use only so many prompts, spread over the set.
        temperature: At which the probabilities are taken.
    """
    source = load_prompts(prompts)
    return confirmation(
        source,
        source.pick(limit_prompts),
        as_candidates(log, candidates, top),
        known_payload(payload),
        [payload_behind()],
        temperature,
        version="1-A",
    )
