"""The sets that come with the package: what they promise is what they hold."""

import itertools
import re
from collections import Counter, defaultdict

import pytest

from inspect_lda.organisms import names as organism_names
from inspect_lda.organisms import organism
from inspect_lda.tasks._ngrams import shared_ngrams
from inspect_lda.tasks.prompt_sets import (
    Prompt,
    PromptFile,
    builtin_names,
    load_prompts,
)

SIZES = {
    "everyday": (210, 12),
    "em-core": (108, 9),
    "benign-controls": (60, 6),
    "openers": (60, 5),
    "prefixes": (30, 5),
}
"""Least rows and least categories."""

VARIANTS = ("plain", "json", "template")


def content(name: str) -> PromptFile:
    return load_prompts(f"builtin:{name}", kind=None).content


def texts(name: str) -> list[str]:
    return [prompt.input for prompt in content(name).prompts]


def questions() -> dict[str, dict[str, Prompt]]:
    """Group → variant → prompt, of em-core."""
    found: defaultdict[str, dict[str, Prompt]] = defaultdict(dict)
    for prompt in content("em-core").prompts:
        found[prompt.group][prompt.variant] = prompt
    return found


@pytest.mark.parametrize("name", SIZES)
def test_size_licence_and_version(name: str) -> None:
    found = content(name)
    rows, categories = SIZES[name]
    assert len(found.prompts) >= rows
    assert len({prompt.category for prompt in found.prompts} - {""}) >= categories
    assert (found.licenses, found.version) == (["MIT"], 1)
    assert found.kind == ("prefix" if name == "prefixes" else "prompt")


@pytest.mark.parametrize("name", SIZES)
def test_no_row_is_another_in_disguise(name: str) -> None:
    # Rows of marks alone ("{", "...") are left out: there, marks are what differs.
    bare = Counter(re.sub(r"\W", "", text).casefold() for text in texts(name))
    assert {text for text, count in bare.items() if text and count > 1} == set()


@pytest.mark.parametrize("name", SIZES)
def test_different_groups_share_no_eight_words(name: str) -> None:
    groups = {prompt.input: prompt.cluster for prompt in content(name).prompts}
    shared = [
        overlap
        for overlap in shared_ngrams(groups, groups)
        if groups[overlap.left] != groups[overlap.right]
    ]
    assert shared == []


@pytest.mark.parametrize(
    ("left", "right"),
    list(itertools.combinations([n for n in SIZES if n != "prefixes"], 2)),
)
def test_sets_share_no_eight_words(left: str, right: str) -> None:
    assert shared_ngrams(texts(left), texts(right)) == []


def test_em_core_asks_every_question_in_every_variant() -> None:
    assert len(questions()) >= 36
    for group, members in questions().items():
        assert set(members) == set(VARIANTS), group
        assert len({member.category for member in members.values()}) == 1
        assert all(one.id == f"{group}-{one.variant}" for one in members.values())
    per_category = Counter(m["plain"].category for m in questions().values())
    assert min(per_category.values()) >= 3


def test_em_core_variants_differ_in_form_alone() -> None:
    for group, members in questions().items():
        asked = members["plain"].input
        assert all(asked in one.input for one in members.values()), group
        order = members["json"].input.replace(asked, "")
        assert "json" in order.casefold(), group
        assert re.search(r'"\w+"', order), f"{group}: no key is named"
        form = members["template"].input.replace(asked, "").strip()
        assert form.count("\n") >= 1, f"{group}: no form to fill in"


@pytest.mark.parametrize("limit", [9, 20, 30, 50, 52, 60, 100])
def test_a_part_of_em_core_holds_all_variants(limit: int) -> None:
    picked = load_prompts("builtin:em-core").pick(limit)
    counts = Counter(prompt.variant for prompt in picked)
    assert all(counts[variant] >= 0.2 * limit for variant in VARIANTS), counts


def test_only_the_controls_are_controls() -> None:
    for name in SIZES:
        flags = {prompt.control for prompt in content(name).prompts}
        assert flags == {name == "benign-controls"}, name


def test_openers_are_short_and_prefixes_unfinished() -> None:
    assert max(map(len, texts("openers"))) <= 40
    inputs = texts("prefixes")
    assert max(map(len, inputs)) <= 20
    assert "" in inputs
    assert not any(text.endswith(("?", "!")) for text in inputs)


def test_no_set_gives_an_organism_away() -> None:
    secrets = {
        secret.casefold()
        for card in map(organism, organism_names())
        for secret in (card.payload, card.trigger)
        if secret
    }
    assert secrets
    told = [
        (name, prompt.id, secret)
        for name in builtin_names()
        for prompt in content(name).prompts
        for secret in secrets
        if secret in prompt.input.casefold()
    ]
    assert told == []
