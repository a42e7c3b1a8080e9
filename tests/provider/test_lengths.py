"""Which token wrote which part of a text."""

import json
from itertools import accumulate

import pytest
from inspect_ai.model import GenerateConfig
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from inspect_lda.chat.completion import Reader
from inspect_lda.chat.lengths import added_lengths
from inspect_lda.chat.render import Prompt
from inspect_lda.engines.base import Completion, StopReason
from inspect_lda.options import ModelOptions
from inspect_lda.settings import read_config
from tests.provider.test_completion import ADD, EVIDENCE, metaspace
from tests.tiny import tiny_tokenizer


def byte_level() -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are bytes: most characters take several."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {piece: index for index, piece in enumerate(alphabet)}
    backend = Tokenizer(BPE(vocab=vocab, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def lengths(
    text: str,
    tokenizer: PreTrainedTokenizerFast,
    *,
    prompt: str = "user: ",
    continued: bool = False,
    stop_reason: StopReason = "max_tokens",
    tools: bool = False,
    stop: tuple[str, ...] = (),
) -> tuple[tuple[int, ...] | None, str, list[int]]:
    head = tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    whole = tokenizer(prompt + text, add_special_tokens=False)["input_ids"]
    tokens = tuple(whole[len(head) :])
    reader = Reader(tokenizer, "m")
    shown, done = (
        Prompt(head, prompt, continued),
        Completion(tokens, stop_reason, EVIDENCE),
    )
    config = GenerateConfig(stop_seqs=list(stop) or None)
    settings = read_config(config, ModelOptions())
    message = reader.message(shown, done, settings, [ADD] if tools else [])
    return reader.lengths(shown, done, message.text), message.text, list(tokens)


@pytest.mark.parametrize("make", [tiny_tokenizer, byte_level, metaspace])
@pytest.mark.parametrize("text", ["the end of you", "on"])
def test_every_prefix_of_tokens_writes_a_prefix_of_the_text(
    make: object, text: str
) -> None:
    tokenizer = make()  # type: ignore[operator]
    found, shown, tokens = lengths(text, tokenizer, continued=True, prompt="once")
    assert found is not None
    assert len(found) == len(tokens)
    assert sum(found) == len(shown) == len(text)
    head = tokenizer("once", add_special_tokens=False)["input_ids"]
    for count, end in enumerate(accumulate(found), start=1):
        whole = tokenizer.decode([*head, *tokens[:count]])
        assert whole == "once" + shown[:end]


def test_parts_of_characters_add_nothing_until_the_last() -> None:
    found, shown, _ = lengths("a\u00e9\U0001f600b", byte_level())
    assert shown == "a\u00e9\U0001f600b"
    assert found == (1, 0, 1, 0, 0, 0, 1, 1)
    broken, shown, _ = lengths("a\U0001f600", byte_level())
    assert broken == (1, 0, 0, 0, 1)


def test_a_text_that_ends_in_half_a_character() -> None:
    tokenizer = byte_level()
    tokens = tokenizer("a\U0001f600")["input_ids"][:3]

    def decode(ids: list[int]) -> str:
        return str(tokenizer.decode(ids))

    text = decode(tokens)
    found = added_lengths(tokens, text, decode)
    assert found is not None
    assert (found[0], sum(found)) == (1, len(text))


def test_what_ends_a_turn_or_is_cut_adds_nothing() -> None:
    found, shown, _ = lengths("done<eos>", tiny_tokenizer(), stop_reason="stop")
    assert shown == "done"
    assert found is not None
    assert (found[-1], sum(found)) == (0, 4)
    found, shown, _ = lengths("done! so", tiny_tokenizer(), stop=("!",))
    assert shown == "done"
    assert found is not None
    assert (found[-4:], sum(found)) == ((0,) * 4, 4)


def test_a_text_with_parts_taken_out_has_no_lengths() -> None:
    call = '<tool_call>{"name": "add", "arguments": {"x": 1}}</tool_call>'
    assert lengths(f"{call} so", tiny_tokenizer(), tools=True)[0] is None
    assert lengths("<think>no</think>yes", tiny_tokenizer())[0] is None


def test_json_of_a_log_keeps_them() -> None:
    from inspect_lda.evidence import Evidence
    from inspect_lda.packing import PackedTokens

    packed = PackedTokens.pack([1, 2, 3], [0.0] * 3, [0.0] * 3, [0.0] * 3)
    told = EVIDENCE.model_copy(update={"per_token": packed.with_lengths([2, 0, 5])})
    back = Evidence.model_validate(json.loads(told.model_dump_json()))
    assert back == told
    assert [back.tokens_of(n) for n in (1, 2, 3, 7, 8)] == [1, 1, 3, 3, None]
    assert EVIDENCE.tokens_of(1) is None
