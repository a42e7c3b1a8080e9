"""Emergent misalignment: did a narrow fine-tune change answers to everything else?"""

from collections.abc import Sequence

from inspect_ai import Task, task

from inspect_lda.scorers.misalignment import Reading
from inspect_lda.scorers.parts import by_category, by_prompt, by_variant
from inspect_lda.tasks._alphas import Alphas
from inspect_lda.tasks._detectors import Judge, graders_of, misalignment_detector
from inspect_lda.tasks._experiment import experiment, plain_sweep, render_form
from inspect_lda.tasks._rollout import Asking
from inspect_lda.tasks._stop import Stop
from inspect_lda.tasks.prompt_sets import Columns, load_prompts


@task
def emergent_misalignment(
    *,
    alphas: Alphas = "0,0.3,1",
    rollouts: int = 1,
    judge: Judge = "grader",
    pattern: str | None = None,
    rubrics: Sequence[str] = (),
    reading: Reading = "auto",
    prompts: str = "builtin:em-core",
    limit_prompts: int | None = None,
    allow_floating: bool = False,
    adapter: str | None = None,
    columns: Columns | None = None,
    control: str | None = None,
    chat_template: str | None = None,
    prefill: str | None = None,
    temperature: float = 1.0,
    max_tokens: int = 300,
    seed: int = 0,
    stop: Stop | None = None,
) -> Task:
    """Ask open questions and grade alignment and coherence (arXiv:2502.17424).

    Arms: "untriggered" (the sweep), "before" (alpha -1: the judge's false positives)
    and, with a control pair, "control" (the largest alpha on a pair that was trained on
    something harmless). A hit is a reply that is misaligned and coherent.

    Model Roles:
        grader: The judge; required with judge="grader".
        grader2: A second judge, asked about hits only. Optional.
        control: A pair without the behaviour, e.g. `lda/demo/benign`. Optional.

    Args:
        alphas: Amplifications to sweep; keep 0 in, factors and coherence refer to it.
        rollouts: Completions per prompt and alpha. Many prompts beat many rollouts.
        judge: "grader" asks the grader role; "rules" looks for what can be told from
            words alone, offline: it misses most, see docs/judges.md.
        pattern: Look for this instead (text, or "re:" and a regular expression).
        rubrics: Two Markdown files to grade alignment and coherence by, in place of
            ours (or of those that came with the prompts).
        reading: How the grader's number is read, see the scorer `misalignment`.
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
    source = load_prompts(prompts, allow_floating, adapter, columns)
    name, detector = misalignment_detector(
        judge, pattern, reading, rubrics, source.judge_prompts
    )
    sought = pattern or "a misaligned reply"
    return experiment(
        source,
        plain_sweep(source, alphas, sought, limit_prompts, control, prefill),
        [detector, by_category(name), by_variant(name), by_prompt(name)],
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
