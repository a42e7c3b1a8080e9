"""Grades from log-probabilities: exact where all is listed, bounded where it is not."""

import math
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspect_lda.scorers._grading.reply import grade_in
from inspect_lda.scorers._grading.scales import LETTERS, PERCENT, YES_NO
from inspect_lda.scorers._grading.weigh import Weighed, has_alternatives, weigh
from tests.scorers.graders import tokens

END = "<|im_end|>"
PROSE = "Well"


def weighed(*steps: dict[str, float], said: str | None, cut: bool = False) -> Weighed:
    return weigh(tokens(*steps), PERCENT, said, cut=cut)


def expect(found: Weighed, *, mass: float, mean: float) -> None:
    assert found.mass == pytest.approx(mass)
    assert found.mean == pytest.approx(mean)


def test_numbers_in_one_token_are_weighed_by_their_probability() -> None:
    found = weighed({"85": 0.6, "90": 0.3, " 90": 0.05, "I": 0.05}, said="85")
    expect(found, mass=0.95, mean=(0.6 * 85 + 0.35 * 90) / 0.95)
    assert found.lower == pytest.approx(found.mean)
    assert found.upper == pytest.approx(found.mean)


def test_what_follows_a_grade_changes_nothing() -> None:
    found = weighed({"85": 0.6, "90": 0.4}, {END: 0.9, ".": 0.1}, said="85")
    expect(found, mass=1, mean=87)


def test_what_is_not_listed_only_widens_the_bounds() -> None:
    found = weighed({"80": 0.9}, said="80")
    expect(found, mass=0.9, mean=80)
    assert found.lower == pytest.approx(72)
    assert found.upper == pytest.approx(82)


def test_digits_are_followed_along_the_branch_that_was_sampled() -> None:
    found = weighed(
        {"8": 0.7, "9": 0.3}, {"5": 0.6, "0": 0.3, END: 0.1}, {END: 1.0}, said="85"
    )
    # 85, 80 and 8 were seen; the branch of 9 is 9 or 90 to 99.
    expect(found, mass=0.7, mean=0.6 * 85 + 0.3 * 80 + 0.1 * 8)
    assert found.lower == pytest.approx(0.7 * 75.8 + 0.3 * 9)
    assert found.upper == pytest.approx(0.7 * 75.8 + 0.3 * 99)


def test_a_first_digit_alone_is_no_grade() -> None:
    # The mean over first tokens would be 8.2, a misaligned reply.
    found = weighed({"8": 0.8, "9": 0.2}, said="8", cut=True)
    assert found.mean is None
    assert found.mass == 0
    assert (found.lower, found.upper) == (8, 99)


def test_a_digit_that_ends_the_reply_is_taken_as_said_within_open_bounds() -> None:
    found = weighed({"8": 0.8, "the": 0.2}, said="8")
    expect(found, mass=0.8, mean=8)
    assert (found.lower, found.upper) == (8, 89)


def test_a_digit_beside_numbers_is_a_number() -> None:
    # This tokenizer has a token for 15, so "5" and "10" are whole answers.
    found = weighed({"5": 0.5, "10": 0.3, "15": 0.2}, said="5")
    expect(found, mass=1, mean=8.5)
    assert found.lower == found.upper == pytest.approx(8.5)


def test_numbers_stay_whole_after_their_first_token() -> None:
    found = weighed({"1": 0.5, "15": 0.5}, {END: 0.6, "0": 0.4}, said="1")
    expect(found, mass=1, mean=0.3 * 1 + 0.2 * 10 + 0.5 * 15)


@pytest.mark.parametrize(
    ("beginning", "answer"),
    [
        ("85", "85"),
        (" **85", "85"),
        ("85.", "85"),
        ("85, since", "85"),
        ("85/100", "85"),
        ("0", "0"),
        ("100", "100"),
        ("85.5", None),
        ("85,5", None),
        ("85-90", None),
        ("85th", None),
        ("85²", None),
        ("850", None),
        ("8", None),
        ("10", None),
        ("8 ", "8"),
    ],
)
def test_when_the_beginning_of_a_reply_is_settled(
    beginning: str, answer: str | None
) -> None:
    assert PERCENT.read(beginning).answer == answer


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        # The reply goes on as prose, so its own branch is no grade.
        (({"85": 0.9, "80": 0.02}, {" people": 0.9}), None),
        (({"8": 0.9, "80": 0.02}, {"th": 0.9}), None),
        (({"85.": 0.9, "80": 0.02}, {"5": 0.9}), None),
        (({"-": 0.9, "80": 0.02}, {"5": 0.9}), None),
        (({"I": 0.9, "80": 0.02}, {" am": 0.9}), None),
        (({"101": 0.9, "80": 0.02}, {END: 0.9}), None),
        (({"٣": 0.9, "80": 0.02}, {END: 0.9}), None),
        (({"8²": 0.9, "80": 0.02}, {END: 0.9}), None),
    ],
)
def test_what_is_no_grade_holds_no_mass(
    steps: tuple[dict[str, float], ...], said: str | None
) -> None:
    found = weighed(*steps, said=said)
    expect(found, mass=0.02, mean=80)


def test_markup_before_the_grade_is_walked_through() -> None:
    found = weighed({"**": 0.5, "70": 0.5}, {"85": 1.0}, {"**": 1.0}, said="85")
    expect(found, mass=1, mean=77.5)


def test_tokens_as_tokenizers_store_them() -> None:
    found = weighed({"\u0120" + "85": 0.5, "\u2581" + "75": 0.5}, said="85")
    assert found.mean == pytest.approx(80)


def test_letters_and_verdicts() -> None:
    steps = tokens({"E": 0.5, "D": 0.3, "a": 0.1, "An": 0.1})
    found = weigh(steps, LETTERS, "E", cut=False)
    expect(found, mass=0.8, mean=72.5 / 0.8)
    steps = tokens({"Yes": 0.6, "no": 0.2, "Not": 0.1, "N": 0.1})
    found = weigh(steps, YES_NO, "YES", cut=False)
    expect(found, mass=0.8, mean=0.75)
    assert found.lower == pytest.approx(0.6 / 0.9)


@pytest.mark.parametrize(
    "step", [{"85": math.nan}, {"85": 1.5}, {"85": 0.9, "80": 0.4}]
)
def test_log_probabilities_that_are_none(step: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"log-probability|probabilities"):
        weighed(step, said="85")


def test_one_alternative_is_nothing_to_weigh() -> None:
    assert not has_alternatives(tokens({"85": 1.0}, {END: 1.0}))
    assert has_alternatives(tokens({"85": 0.9, "80": 0.1}))


# A grader as a distribution over replies, seen through a tokenizer.

replies = st.dictionaries(
    st.one_of(st.integers(0, 100).map(str), st.just(PROSE)),
    st.floats(0.01, 1),
    min_size=1,
    max_size=12,
).filter(lambda weights: any(reply != PROSE for reply in weights))


def _split(reply: str, *, digits: bool) -> list[str]:
    return [*(reply if digits and reply.isdigit() else [reply]), END]


def _steps(
    chances: dict[str, float], said: str, listed: int, *, digits: bool
) -> list[dict[str, float]]:
    """What an API reports along the tokens of the reply that was sampled."""
    steps = []
    path: list[str] = []
    for token in _split(said, digits=digits):
        mass: dict[str, float] = defaultdict(float)
        for reply, chance in chances.items():
            pieces = _split(reply, digits=digits)
            if pieces[: len(path)] == path and len(pieces) > len(path):
                mass[pieces[len(path)]] += chance
        total = sum(mass.values())
        others = sorted((t for t in mass if t != token), key=mass.__getitem__)[::-1]
        shown = [token, *others[: listed - 1]]
        steps.append({t: mass[t] / total for t in shown})
        path.append(token)
    return steps


@given(replies, st.data(), st.booleans(), st.booleans(), st.integers(1, 20))
def test_the_true_mean_lies_within_the_bounds(
    weights: dict[str, float],
    data: st.DataObject,
    digits: bool,
    shows_end: bool,
    listed: int,
) -> None:
    total = sum(weights.values())
    chances = {reply: weight / total for reply, weight in weights.items()}
    said = data.draw(st.sampled_from(sorted(chances)))
    steps = _steps(chances, said, listed, digits=digits)
    content = tokens(*steps) if shows_end else tokens(*steps[:-1])
    found = weigh(content, PERCENT, grade_in(said, PERCENT), cut=False)

    graded = {int(r): p for r, p in chances.items() if r != PROSE}
    share = sum(graded.values())
    truth = sum(value * p for value, p in graded.items()) / share
    assert found.lower - 1e-6 <= truth <= found.upper + 1e-6
    assert found.mass <= share + 1e-9 or not shows_end
    if found.mean is not None:
        assert found.lower - 1e-6 <= found.mean <= found.upper + 1e-6
    # A tokenizer is known to write numbers whole once it shows one that it did.
    shown = any(value > 9 for value in graded) and listed >= len(chances)
    if shown and shows_end and not digits:
        assert found.mass == pytest.approx(share)
        assert found.mean == pytest.approx(truth)
