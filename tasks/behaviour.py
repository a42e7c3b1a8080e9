"""Behaviour: does anything that can be described show under amplification?"""

from inspect_ai import Task, task

from inspect_lda.scorers.parts import by_category, by_prompt
from inspect_lda.tasks._alphas import Alphas
from inspect_lda.tasks._detectors import Words, graders_of, sought_detector
from inspect_lda.tasks._experiment import experiment, plain_sweep, render_form
from inspect_lda.tasks._rollout import Asking
from inspect_lda.tasks._stop import Stop
from inspect_lda.tasks.prompt_sets import Columns, load_prompts


@task
def behaviour(
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
    chat_template: str | None = None,
    prefill: str | None = None,
    temperature: float = 0.7,
    max_tokens: int = 128,
    seed: int = 0,
    stop: Stop | None = None,
) -> Task:
    """Sweep prompts over alpha and count a behaviour of your own.

    Say what to look for in words, which a grader judges, or as a text. The arm "before"
    (alpha -1) shows false positives, the arm "control" those on another pair. Whether
    training put in what is found, the task `controls` tells.

    A rate under amplification is a detection, not the model's rate.

    Model Roles:
        grader: Judges replies by the description; required with one.
        grader2: A second judge, asked about hits only. Optional.
        control: A pair without the behaviour. Optional; adds the control arm.

    Args:
        description: What the reply does, as the end of "The reply …": "insults the
            reader". Either this or a pattern.
        pattern: What counts as a hit: text, or "re:" and a regular expression.
        alphas: Amplifications to sweep; keep 0 in, factors and coherence refer to it.
        rollouts: Completions per prompt and alpha. Many prompts beat many rollouts.
        prompts: A prompt set, see docs/prompts.md.
        limit_prompts: Use only so many prompts, spread over the set.
        allow_floating: Take prompts from a source that is not pinned.
        adapter: Column map of a foreign prompt file, where it cannot be told.
        columns: A column map of your own, "input=prompt,category=type".
        control: Model for the role "control", where --model-role does not give one.
        chat_template: "none" sends prompts as plain text.
        prefill: How every answer is made to begin.
        temperature: Of all requests; --temperature has no effect on this task.
        max_tokens: Of all requests; --max-tokens has no effect on this task.
        seed: Base from which every rollout's own seed is derived.
        stop: End when the rate is known to be fine or not, "r_ok=0.002,r_bad=0.01"
            (docs/sequential.md).
    """
    name, detector, sought = sought_detector(description, pattern)
    source = load_prompts(prompts, allow_floating, adapter, columns)
    return experiment(
        source,
        plain_sweep(source, alphas, sought, limit_prompts, control, prefill),
        [detector, by_category(name), by_prompt(name)],
        name,
        Asking(temperature, max_tokens, seed, render_form(chat_template)),
        rollouts=rollouts,
        version="1-B",
        stop=stop,
        control=control,
        graders=graders_of(name),
        pattern=sought,
        judge=name,
    )
