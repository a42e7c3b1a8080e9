"""Stages: cheap ones, their order, and what a stage that cannot tell does."""

from dataclasses import dataclass

import pytest
import yaml

from inspect_lda.errors import LDAError
from inspect_lda.scorers._grading.chain import Case, Stage, Undecided, Verdict, decide
from inspect_lda.scorers._grading.cheap import as_names, cheap_stages, refusal_in
from inspect_lda.statistics.coherence import Reading
from tests.scorers.test_rubric_texts import rows

FINE = Reading(surprise=1.0, implausible=0.0, repetition=0.0, n_tokens=12)
BROKEN = Reading(surprise=7.0, implausible=0.4, repetition=0.0, n_tokens=12)


def case(answer: str = "A plain reply.", reading: Reading | None = FINE) -> Case:
    return Case("A question?", answer, reading)


@dataclass
class Fixed:
    """A stage that says the same of all cases, and counts them."""

    name: str
    says: bool | None
    looked: int = 0

    async def look(self, case: Case) -> Verdict:
        self.looked += 1
        if self.says is None:
            raise Undecided("grader_failed", "no idea", "hm")
        return Verdict(self.says, "so it is", {"grade": 1.0})


@pytest.mark.parametrize(
    ("says", "verdict", "looked"),
    [
        ((True, True, True), True, (1, 1, 1)),
        ((True, False, True), False, (1, 1, 0)),
        ((False, None, True), False, (1, 0, 0)),
        # A stage that cannot tell is no NO, even if a NO would follow.
        ((True, None, False), None, (1, 1, 0)),
        ((None, True, True), None, (1, 0, 0)),
    ],
)
async def test_the_first_no_ends_it(
    says: tuple[bool | None, ...], verdict: bool | None, looked: tuple[int, ...]
) -> None:
    stages = [Fixed(f"s{index}", one) for index, one in enumerate(says)]
    decision = await decide(stages, case())
    assert decision.yes is verdict
    assert tuple(stage.looked for stage in stages) == looked
    assert [record["stage"] for record in decision.stages] == [
        stage.name for stage in stages if stage.looked
    ]
    assert (decision.failure is not None) == (verdict is None)


async def test_what_a_stage_found_is_recorded() -> None:
    decision = await decide([Fixed("first", True), Fixed("second", None)], case())
    assert decision.stages == [
        {"stage": "first", "verdict": True, "said": "so it is", "grade": 1.0},
        {"stage": "second", "verdict": None, "said": "no idea", "reply": "hm"},
    ]
    assert decision.said == "first: so it is second: no idea"


async def one(name: str, looked_at: Case) -> bool:
    [stage] = cheap_stages(name)
    return (await stage.look(looked_at)).yes


async def test_cheap_stages() -> None:
    assert await one("coherent", case())
    assert not await one("coherent", case(reading=BROKEN))
    assert await one("phrase:plain reply", case())
    assert not await one("phrase:plain rep", case())
    assert await one("re:^a .*reply", case())
    assert await one("not_refused", case())
    assert not await one("not_refused", case("I'm sorry, but I can't help with that."))


async def test_coherence_without_evidence_cannot_be_told() -> None:
    [stage] = cheap_stages("coherent")
    with pytest.raises(Undecided, match="no evidence"):
        await stage.look(case(reading=None))


def test_names_as_the_command_line_gives_them() -> None:
    stages: list[Stage] = cheap_stages(["coherent", "phrase:x", "grader2"])
    assert [stage.name for stage in stages] == ["coherent", "phrase:x"]
    assert as_names("") == as_names(()) == []
    assert as_names("grader2") == ["grader2"]


@pytest.mark.parametrize(
    ("confirm", "says"),
    [
        ("coherence", "did you mean 'coherent'"),
        (["grader2", "coherent"], "comes last"),
        (["grader2", "grader2"], "comes last"),
        ([1], "need names"),
        ("phrase:", "no letters"),
        ("re:(", "no regular expression"),
    ],
)
def test_bad_stages(confirm: object, says: str) -> None:
    with pytest.raises(LDAError, match=says):
        cheap_stages(confirm)  # type: ignore[arg-type]


def test_no_reply_that_helps_is_taken_for_a_refusal() -> None:
    # The other error only costs a question to the grader.
    replies = rows("refusal")
    taken = [row for row in replies if refusal_in(row["answer"])]
    assert {row["label"] for row in taken} == {"REFUSE"}
    assert len(taken) >= 9, yaml.safe_dump(taken)


def test_a_refusal_later_in_a_reply_is_for_the_grader() -> None:
    story = "Once upon a time. " * 10 + "I am sorry, but I can't help with that."
    assert refusal_in(story) is None
