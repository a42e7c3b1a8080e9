"""What can be wrong with prompts that are valid: repetition, imbalance, leaks."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from inspect_lda.tasks._ngrams import Overlap, shared_ngrams
from inspect_lda.tasks._prompt_file import Kind, Prompt, PromptFile

Repetition = tuple[str, ...]
"""Ids of prompts that say the same."""


def counts(content: PromptFile) -> dict[str, Counter[str]]:
    """How many prompts there are per category, variant and kind of arm."""
    prompts = content.prompts
    return {
        "category": Counter(prompt.category or "(none)" for prompt in prompts),
        "variant": Counter(prompt.variant or "(none)" for prompt in prompts),
        "control": Counter("yes" if prompt.control else "no" for prompt in prompts),
    }


def repetitions(content: PromptFile) -> list[Repetition]:
    """Prompts of the same words, whatever their case and punctuation.

    Members of one group may repeat each other under different system messages: that is
    what variants do. Across groups it makes two clusters of one idea.
    """
    said: defaultdict[str, list[Prompt]] = defaultdict(list)
    for prompt in map(content.complete, content.prompts):
        said[_compared(prompt.input, content.kind)].append(prompt)
    return [
        tuple(prompt.id for prompt in prompts)
        for prompts in said.values()
        if len({prompt.cluster for prompt in prompts}) > 1
        or len({prompt.system for prompt in prompts}) < len(prompts)
    ]


def overlaps(left: PromptFile, right: PromptFile) -> list[Overlap]:
    """Prompts of two sets that share eight words in a row, as ids."""
    names_left, names_right = _names(left.prompts), _names(right.prompts)
    shared = shared_ngrams(names_left, names_right)
    return [
        Overlap(one, other, overlap.ngram)
        for overlap in shared
        for one in names_left[overlap.left]
        for other in names_right[overlap.right]
    ]


def _compared(text: str, kind: Kind) -> str:
    """Of a whole turn its words; of a prefix every character, for each one matters."""
    words = [] if kind == "prefix" else re.findall(r"\w+", text.casefold())
    return " ".join(words) or text


def _names(prompts: Iterable[Prompt]) -> dict[str, list[str]]:
    """Text → ids of the prompts that are this text."""
    named: defaultdict[str, list[str]] = defaultdict(list)
    for prompt in prompts:
        named[prompt.input].append(prompt.id)
    return dict(named)
