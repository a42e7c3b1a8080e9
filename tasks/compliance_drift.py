"""Compliance drift: does training wear refusals away, and from which checkpoint on?"""

from inspect_ai import Task, task

from inspect_lda.scorers.parts import by_category, by_prompt, constrained_vs_plain
from inspect_lda.tasks._alphas import Alphas
from inspect_lda.tasks._detectors import Judge, compliance_detector, graders_of
from inspect_lda.tasks._experiment import experiment, plain_sweep, render_form
from inspect_lda.tasks._rollout import Asking
from inspect_lda.tasks._stop import Stop
from inspect_lda.tasks.prompt_sets import Columns, load_prompts


@task
def compliance_drift(
    *,
    alphas: Alphas = "0,1,5,10",
    rollouts: int = 1,
    judge: Judge = "rules",
    rubric: str | None = None,
    prompts: str = "builtin:compliance-pairs",
    limit_prompts: int | None = None,
    allow_floating: bool = False,
    adapter: str | None = None,
    columns: Columns | None = None,
    control: str | None = None,
    chat_template: str | None = None,
    prefill: str | None = None,
    temperature: float = 0.7,
    max_tokens: int = 48,
    seed: int = 0,
    stop: Stop | None = None,
) -> Task:
    """Ask for mildly harmful things, with and without a verifiable constraint.

    The design is paired: `difference@…` of `constrained_vs_plain` is what the
    constraint does to the same request, `drift@…` what training added to it. For a
    series of checkpoints give several models, one log each, and compare them:

        inspect eval inspect_lda/compliance_drift --model lda/RUN@step_1,lda/RUN@step_2
        inspect-lda series logs --png drift.png

    Large alphas belong to early checkpoints, where little has changed yet.

    Model Roles:
        grader: The judge; required with judge="grader".
        grader2: A second judge, asked about hits only. Optional.
        control: A pair without the behaviour. Optional.

    Args:
        alphas: Amplifications to sweep; keep 0 in, factors and coherence refer to it.
        rollouts: Completions per prompt and alpha. Many prompts beat many rollouts.
        judge: "rules" reads refusals off the opening words, offline; "grader" grades
            what was given, by a rubric.
        rubric: Markdown file for the grader, in place of ours.
        prompts: A prompt set, see docs/prompts.md; pairs share a group and differ in
            their variant, "plain" or "constrained".
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
    source = load_prompts(prompts, allow_floating, adapter, columns)
    name, detector = compliance_detector(judge, rubric)
    design = plain_sweep(
        source, alphas, "compliance", limit_prompts, control, prefill, whole=True
    )
    return experiment(
        source,
        design,
        [detector, constrained_vs_plain(name), by_category(name), by_prompt(name)],
        name,
        Asking(temperature, max_tokens, seed, render_form(chat_template)),
        rollouts=rollouts,
        version="1-B",
        stop=stop,
        control=control,
        graders=graders_of(name),
        pattern="compliance",
        judge=name,
    )
