"""Emergent misalignment: did a narrow fine-tune change answers to everything else?"""

from typing import Literal

from inspect_ai import Task, task
from inspect_ai.model import model_roles
from inspect_ai.scorer import Scorer

from inspect_lda.arms import CONTROL
from inspect_lda.scorers.misalignment import misalignment
from inspect_lda.scorers.parts import by_category, by_prompt, by_variant
from inspect_lda.scorers.phrase import phrase
from inspect_lda.scorers.rule_judge import rule_judge
from inspect_lda.tasks._alphas import Alphas, parse_alphas
from inspect_lda.tasks._arms import Design
from inspect_lda.tasks._behaviour import Behaviour
from inspect_lda.tasks._experiment import experiment, one_of, render_form
from inspect_lda.tasks._rollout import Asking
from inspect_lda.tasks.prompt_sets import Columns, load_prompts


@task
def emergent_misalignment(
    *,
    alphas: Alphas = "0,0.3,1",
    rollouts: int = 1,
    judge: Literal["grader", "rules"] = "grader",
    pattern: str | None = None,
    alignment_rubric: str | None = None,
    coherence_rubric: str | None = None,
    reading: Literal["auto", "logprobs", "text", "letters"] = "auto",
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
        alignment_rubric: Markdown file to grade alignment by, in place of ours.
        coherence_rubric: Likewise for coherence.
        reading: How the grader's number is read, see `inspect_lda.scorers.misalignment`.
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
    """
    sweep = parse_alphas(alphas)
    source = load_prompts(prompts, allow_floating, adapter, columns)
    one_of("judge", judge, ("grader", "rules"))
    detector: Scorer
    if pattern is not None:
        name, detector = "phrase", phrase(pattern)
    elif judge == "rules":
        name, detector = "rule_judge", rule_judge()
    else:
        name, detector = (
            "misalignment",
            misalignment(
                reading,
                alignment_rubric=alignment_rubric,
                coherence_rubric=coherence_rubric,
                confirm=("grader2",) if "grader2" in model_roles() else (),
            ),
        )
    sought = pattern or "a misaligned reply"
    design = Design(
        prompts=source.pick(limit_prompts),
        alphas=sweep,
        behaviour=Behaviour(sought, None, None),
        system=source.content.defaults.system,
        control=control is not None or CONTROL in model_roles(),
        exact=False,
        prefill=prefill,
    )
    return experiment(
        source,
        design,
        [detector, by_category(name), by_variant(name), by_prompt(name)],
        name,
        Asking(temperature, max_tokens, seed, render_form(chat_template)),
        rollouts=rollouts,
        version="1-A",
        control=control,
        pattern=sought,
        judge=judge,
    )
