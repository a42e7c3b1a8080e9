"""Controls: did training put it in, or does amplification bring it out of any pair?"""

from dataclasses import replace

from inspect_ai import Task, task
from inspect_ai.log import HeadlineMetric

from inspect_lda.scorers.verdict import verdict
from inspect_lda.tasks._alphas import Alphas, parse_contrast
from inspect_lda.tasks._detectors import Words, graders_of, sought_detector
from inspect_lda.tasks._experiment import experiment, plain_sweep, render_form
from inspect_lda.tasks._rollout import Asking
from inspect_lda.tasks.prompt_sets import Columns, load_prompts


@task
def controls(
    *,
    description: Words | None = None,
    pattern: str | None = None,
    alphas: Alphas = "0,0.5,1",
    rollouts: int = 1,
    prompts: str = "builtin:everyday",
    limit_prompts: int | None = None,
    allow_floating: bool = False,
    adapter: str | None = None,
    columns: Columns | None = None,
    control: str | None = None,
    identity: int = 8,
    chat_template: str | None = None,
    prefill: str | None = None,
    temperature: float = 0.7,
    max_tokens: int = 32,
    seed: int = 0,
) -> Task:
    """Weigh a sweep against arms that push as hard, but not where training points.

    Arms: "untriggered" (the sweep), "before" (alpha -1), at every alpha above 0
    "mirror" (the pair swapped) and "placebo" (what amplification adds to each logit,
    given to tokens about as likely), at the largest alpha "control" (another pair) and
    "identity" (`after` with itself, which has to write what alpha 0 writes). The
    finding is surfaced, generic, null or undecided: `inspect-lda report` says why.

    Model Roles:
        grader: Judges replies by the description; required with one.
        grader2: A second judge, asked about hits only. Optional.
        control: A pair without the behaviour. Optional; adds the control arm.

    Args:
        description: What the reply does, as the end of "The reply …": "insults the
            reader". Either this or a pattern.
        pattern: What counts as a hit: text, or "re:" and a regular expression.
        alphas: Amplifications to sweep, one of them above 0; 0 is added.
        rollouts: Completions per prompt and alpha. Many prompts beat many rollouts.
        prompts: A prompt set, see docs/prompts.md.
        limit_prompts: Use only so many prompts, spread over the set.
        allow_floating: Take prompts from a source that is not pinned.
        adapter: Column map of a foreign prompt file, where it cannot be told.
        columns: A column map of your own, "input=prompt,category=type".
        control: Model for the role "control", where --model-role does not give one.
        identity: Prompts of the identity arm; 0 leaves it out.
        chat_template: "none" sends prompts as plain text.
        prefill: How every answer is made to begin.
        temperature: Of all requests; --temperature has no effect on this task.
        max_tokens: Of all requests; --max-tokens has no effect on this task.
        seed: Base from which every rollout's own seed is derived.
    """
    name, detector, sought = sought_detector(description, pattern)
    source = load_prompts(prompts, allow_floating, adapter, columns)
    sweep = plain_sweep(
        source, parse_contrast(alphas), sought, limit_prompts, control, prefill
    )
    return experiment(
        source,
        replace(sweep, contrasts=True, identity=identity),
        [detector, verdict(name)],
        name,
        Asking(temperature, max_tokens, seed, render_form(chat_template)),
        rollouts=rollouts,
        version="1-A",
        control=control,
        graders=graders_of(name),
        summary=HeadlineMetric(scorer="verdict", metric="surfaced"),
        pattern=sought,
        judge=name,
    )
