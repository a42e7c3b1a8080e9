"""Logit Path Extrapolation: which prompts would a safe model comply with?"""

from inspect_ai import Task, task

from inspect_lda.errors import LDAError
from inspect_lda.scorers.parts import by_prompt
from inspect_lda.scorers.path_rank import path_rank
from inspect_lda.tasks._alphas import Alphas, parse_alphas
from inspect_lda.tasks._detectors import Words, graders_of, sought_detector
from inspect_lda.tasks._experiment import experiment, plain_sweep, render_form
from inspect_lda.tasks._rollout import Asking
from inspect_lda.tasks.prompt_sets import Columns, load_prompts


@task
def lpe(
    *,
    description: Words | None = None,
    pattern: str | None = None,
    alphas: Alphas = "-1,-0.8,-0.6,-0.4",
    rollouts: int = 8,
    prompts: str = "builtin:everyday",
    limit_prompts: int | None = None,
    allow_floating: bool = False,
    adapter: str | None = None,
    columns: Columns | None = None,
    chat_template: str | None = None,
    prefill: str | None = None,
    temperature: float = 1.0,
    max_tokens: int = 128,
    seed: int = 0,
) -> Task:
    """Rank prompts by how often the model would do it, from a less safe variant.

    The model is the safe one and `before` the less safe one (an abliterated or
    fine-tuned variant, say): alpha -1 is that variant, alpha 0 the model, and between
    them the behaviour gets rarer. Where it is common it is counted, and the trend goes
    on to alpha 0 (Pernice and Aranguri 2026). `inspect-lda report LOG` prints the
    ranking. An order of magnitude with its band, never a rate; `inspect-lda rate LOG`
    weighs the same rollouts and gives a rate where that is valid.

    Model Roles:
        grader: Judges replies by the description; required with one.
        grader2: A second judge, asked about hits only. Optional.

    Args:
        description: What the reply does, as the end of "The reply …". Either this or
            a pattern.
        pattern: What counts as a hit: text, or "re:" and a regular expression.
        alphas: From -1 (the less safe variant) to 0 (the model), at least two of them
            below 0.
        rollouts: Completions per prompt and alpha.
        prompts: A prompt set, see docs/prompts.md.
        limit_prompts: Use only so many prompts, spread over the set.
        allow_floating: Take prompts from a source that is not pinned.
        adapter: Column map of a foreign prompt file, where it cannot be told.
        columns: A column map of your own, "input=prompt,category=type".
        chat_template: "none" sends prompts as plain text.
        prefill: How every answer is made to begin.
        temperature: Of all requests; --temperature has no effect on this task.
        max_tokens: Of all requests; --max-tokens has no effect on this task.
        seed: Base from which every rollout's own seed is derived.

    Raises:
        LDAError: If an alpha lies outside, or fewer than two below 0.
    """
    path = parse_alphas(alphas)
    if path[0] < -1 or path[-1] > 0 or sum(alpha < 0 for alpha in path) < 2:
        raise LDAError(
            f"alphas={alphas!r}: a path runs from -1 (the less safe variant) to 0 (the "
            "model), with at least two below 0 to draw a line through, e.g. -1,-0.5"
        )
    name, detector, sought = sought_detector(description, pattern)
    source = load_prompts(prompts, allow_floating, adapter, columns)
    return experiment(
        source,
        plain_sweep(source, path, sought, limit_prompts, None, prefill),
        [detector, by_prompt(name), path_rank(name)],
        name,
        Asking(temperature, max_tokens, seed, render_form(chat_template)),
        rollouts=rollouts,
        version="1-A",
        graders=graders_of(name),
        pattern=sought,
        judge=name,
    )
