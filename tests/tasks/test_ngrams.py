"""Copied text is found however it was dressed up, and chance agreement is not."""

import pytest

from inspect_lda.tasks._ngrams import Overlap, shared_ngrams

LONG = "The lighthouse keeper had not seen a single ship for nine whole years."


@pytest.mark.parametrize(
    "copied",
    [
        LONG,
        "the LIGHTHOUSE keeper\nhad not -- seen a (single) ship!",
        "Suppose that keeper had not seen a single ship for nine days.",
    ],
)
def test_copies_are_found(copied: str) -> None:
    [overlap] = shared_ngrams([LONG, "Something else altogether."], [copied])
    assert (overlap.left, overlap.right) == (LONG, copied)
    assert len(overlap.ngram.split()) == 8


def test_seven_words_are_no_copy() -> None:
    seven = "Here: keeper had not seen a single ship, then none."
    assert shared_ngrams([LONG], [seven]) == []
    assert len(shared_ngrams([LONG], [seven], n=7)) == 1
    words = LONG.split()
    # The same words in another order, and words of one text spread over two.
    assert shared_ngrams([LONG], [" ".join(reversed(words))]) == []
    assert shared_ngrams([LONG], [" ".join(words[:7]), " ".join(words[7:])]) == []


def test_short_texts_are_compared_as_wholes() -> None:
    same, more = "DON\u2019T PANIC", "Don't panic, Arthur"
    assert shared_ngrams(["Don't panic!"], [same, more]) == [
        Overlap("Don't panic!", same, "dont panic")
    ]


def test_marks_are_no_words() -> None:
    assert shared_ngrams(["", "...", "____"], ["", "...", "____"]) == []
    assert len(shared_ngrams(["Name: ____ Age: ____"], ["name, age"])) == 1


def test_each_pair_is_named_once_and_in_order() -> None:
    pairs = shared_ngrams(["b b", "a a"], iter(["B b!", "A a", "b, b"]), n=2)
    assert [(one.left, one.right) for one in pairs] == [
        ("a a", "A a"),
        ("b b", "B b!"),
        ("b b", "b, b"),
    ]


def test_n_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="n=0"):
        shared_ngrams(["a"], ["a"], n=0)
