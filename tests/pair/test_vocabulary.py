"""Tokenizers that fit, that nearly fit, and that do not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from inspect_lda.checkpoints.tokenizers import check_tokenizers
from inspect_lda.checkpoints.vocabulary import build_vocabulary
from inspect_lda.errors import LDAError
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.tiny import CHAT_TEMPLATE, EOS, save_checkpoint, tiny_model, tiny_tokenizer

Make = Callable[..., Pair]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Save and load a pair of given widths and tokenizers."""

    def build(
        after: PreTrainedTokenizerFast,
        before: PreTrainedTokenizerFast,
        size: int = 97,
        before_size: int = 97,
    ) -> Pair:
        for name, tokenizer, width, seed in (
            ("after", after, size, 2),
            ("before", before, before_size, 1),
        ):
            model = tiny_model(seed=seed, vocab_size=width)
            save_checkpoint(tmp_path / name, model, tokenizer)
        return load_pair(PairSpec(str(tmp_path / "after"), str(tmp_path / "before")))

    return build


def with_tokens(*names: str) -> PreTrainedTokenizerFast:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(list(names), special_tokens=True)
    return tokenizer


def changed(change: Callable[[Tokenizer], None]) -> PreTrainedTokenizerFast:
    tokenizer = tiny_tokenizer()
    change(tokenizer.backend_tokenizer)
    return tokenizer


def edited(change: Callable[[Any], None]) -> PreTrainedTokenizerFast:
    """The tiny tokenizer with its tokenizer.json changed."""
    state = json.loads(tiny_tokenizer().backend_tokenizer.to_str())
    change(state)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def test_padded_tables_are_masked(make: Make) -> None:
    pair = make(tiny_tokenizer(), tiny_tokenizer(), 128, 192)
    found = pair.vocabulary
    assert found.size == 128
    assert int(found.allowed.sum()) == int(found.shared.sum()) == 97
    assert not bool(found.allowed[97:].any())
    assert any("31 ids that after's tokenizer does not know" in n for n in found.notes)


def test_before_may_be_narrower(make: Make) -> None:
    pair = make(with_tokens("<turn>", "<tool>"), tiny_tokenizer(), 128, 97)
    found = pair.vocabulary
    assert found.allowed.nonzero().flatten().tolist() == list(range(99))
    assert found.shared.nonzero().flatten().tolist() == list(range(97))
    assert any("2 tokens only in after" in note for note in pair.notes)


def test_tokens_only_in_before_are_never_sampled(make: Make) -> None:
    pair = make(tiny_tokenizer(), with_tokens("<turn>"), 128, 128)
    assert not bool(pair.vocabulary.allowed[97])
    assert any("only in before, never sampled: '<turn>'" in n for n in pair.notes)


def test_added_token_in_a_padded_row_of_before(make: Make) -> None:
    # The case in which taking the smaller of two widths emits garbage.
    pair = make(with_tokens("<a>", "<b>", "<turn>"), tiny_tokenizer(), 100, 128)
    assert pair.vocabulary.allowed.all()
    assert not bool(pair.vocabulary.shared[97:].any())


def test_renamed_reserved_token_is_not_shared(make: Make) -> None:
    pair = make(with_tokens("<tool>"), with_tokens("<reserved>"), 98, 98)
    assert bool(pair.vocabulary.allowed[97])
    assert not bool(pair.vocabulary.shared[97])


def test_own_end_of_turn_ends_and_the_other_side_does_not(tmp_path: Path) -> None:
    after = tiny_model(seed=2, vocab_size=98)
    after.generation_config.eos_token_id = 97
    save_checkpoint(tmp_path / "after", after, with_tokens("<turn>"))
    before = tiny_model(seed=1, vocab_size=98)
    before.generation_config.eos_token_id = [EOS, 97]
    save_checkpoint(tmp_path / "before", before, with_tokens("<other>"))
    pair = load_pair(PairSpec(str(tmp_path / "after"), str(tmp_path / "before")))
    assert pair.eos_ids == {EOS, 97}
    assert any("end-of-turn ids differ" in note for note in pair.notes)
    swapped = load_pair(PairSpec(str(tmp_path / "before"), str(tmp_path / "after")))
    assert swapped.eos_ids == {EOS, 97}


def test_permuted_ids_name_the_first_token(make: Make) -> None:
    def permute(state: Any) -> None:
        vocab = state["model"]["vocab"]
        vocab["c"], vocab["d"] = vocab["d"], vocab["c"]

    with pytest.raises(LDAError, match="the first is 'c', id 6 in after and id 7 in"):
        make(tiny_tokenizer(), edited(permute))


def test_another_tokenizer(make: Make) -> None:
    with pytest.raises(LDAError, match="'st', id 97 in after and absent in before"):
        make(tiny_tokenizer(99), tiny_tokenizer(), 99, 97)
    with pytest.raises(LDAError, match="'st', id 97 in before and absent in after"):
        make(tiny_tokenizer(), tiny_tokenizer(99), 99, 99)


def test_same_ids_other_merges() -> None:
    # Equal vocabularies hide it: "the" and "then" fall apart in another order.
    def reverse(state: Any) -> None:
        state["model"]["merges"].reverse()

    with pytest.raises(LDAError, match="differ in model: a probe text becomes other"):
        check_tokenizers(tiny_tokenizer(), edited(reverse))


def test_other_merges_that_the_probe_does_not_meet() -> None:
    def swap(state: Any) -> None:
        # "o n" against "y ou": no text holds both side by side in the probe.
        merges = state["model"]["merges"]
        merges[6], merges[8] = merges[8], merges[6]

    with pytest.raises(LDAError, match=r"their models \(merges or scores\) do not"):
        check_tokenizers(tiny_tokenizer(), edited(swap))


def test_other_normalizer() -> None:
    def lower(backend: Tokenizer) -> None:
        backend.normalizer = normalizers.Lowercase()

    with pytest.raises(LDAError, match="normalizer: a probe text becomes other ids"):
        check_tokenizers(tiny_tokenizer(), changed(lower))


def test_harmless_difference_is_noted() -> None:
    def split(backend: Tokenizer) -> None:
        backend.pre_tokenizer = pre_tokenizers.Split("\x00", "isolated")

    notes = check_tokenizers(tiny_tokenizer(), changed(split))
    assert ["pre_tokenizer" in one for one in notes] == [True]


def test_truncation_and_padding_do_not_matter() -> None:
    def settings(backend: Tokenizer) -> None:
        backend.enable_truncation(7)
        backend.enable_padding(pad_id=0)

    assert check_tokenizers(tiny_tokenizer(), changed(settings)) == ()


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        (None, "{{ 1 }}", "after has no chat template"),
        ("{{ 1 }}", None, "before has no chat template: after's is used"),
        ("{{ 1 }}", "{{ 2 }}", "the chat templates differ: after's is used"),
    ],
)
def test_chat_templates(after: str | None, before: str | None, expected: str) -> None:
    pair = (tiny_tokenizer(chat_template=one) for one in (after, before))
    assert [expected in note for note in check_tokenizers(*pair)] == [True]


def test_notes_are_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    pair = make(tiny_tokenizer(chat_template=None), tiny_tokenizer(), 128, 128)
    assert len(pair.notes) >= 2
    for note in pair.notes:
        assert note in caplog.text


def test_tokenizer_larger_than_the_table(make: Make) -> None:
    with pytest.raises(LDAError, match="after: its tokenizer has 97 tokens but the mo"):
        make(tiny_tokenizer(), tiny_tokenizer(), 90, 97)


def test_added_token_without_a_row_is_noted(make: Make) -> None:
    pair = make(with_tokens("[MASK]"), tiny_tokenizer())
    assert pair.vocabulary.size == 97
    assert any("have no logit: '[MASK]'" in note for note in pair.notes)


def test_masks_are_plain_cpu_tensors() -> None:
    found = build_vocabulary(tiny_tokenizer(), tiny_tokenizer(), 97, 97)
    for mask in (found.allowed, found.shared):
        assert mask.dtype == torch.bool
        assert mask.shape == (97,)
        assert mask.device.type == "cpu"
