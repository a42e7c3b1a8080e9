"""Sampled tokens to messages."""

import json
from typing import Any

import pytest
from inspect_ai.model import (
    ChatMessageAssistant,
    ContentReasoning,
    ContentText,
    GenerateConfig,
)
from inspect_ai.tool import ToolInfo
from tokenizers import Tokenizer, decoders, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from inspect_lda.chat.completion import Reader
from inspect_lda.chat.render import Prompt
from inspect_lda.engines.base import Completion, StopReason
from inspect_lda.evidence import Evidence
from inspect_lda.options import ModelOptions
from inspect_lda.settings import read_config
from tests.tiny import tiny_tokenizer

ADD = ToolInfo(name="add", description="adds")
EVIDENCE = Evidence(
    alpha=1,
    seed=0,
    temperature=1,
    precision="float32",
    n_tokens=0,
    log_p_after=0,
    log_p_before=0,
    log_q=0,
    log_p_plain=0,
    entropy_after=0,
    kl_mean=0,
    kl_max=0,
    implausible=0,
)
CALL = '<tool_call>{"name": "add", "arguments": {"x": 1}}</tool_call>'


def read(
    text: str,
    tokenizer: PreTrainedTokenizerFast | None = None,
    *,
    prompt: str = "assistant: ",
    continued: bool = False,
    stop_reason: StopReason = "stop",
    tools: bool = False,
    **config: Any,
) -> ChatMessageAssistant:
    tokenizer = tokenizer or tiny_tokenizer()

    def encode(piece: str) -> tuple[int, ...]:
        return tuple(tokenizer(piece, add_special_tokens=False)["input_ids"])

    head = encode(prompt)
    tokens = encode(prompt + text)[len(head) :]
    return Reader(tokenizer, "m").message(
        Prompt(head, prompt, continued),
        Completion(tokens, stop_reason, EVIDENCE),
        read_config(GenerateConfig(**config), ModelOptions()),
        [ADD] if tools else [],
    )


def metaspace() -> PreTrainedTokenizerFast:
    """A tokenizer that writes spaces as SentencePiece does."""
    spec = json.loads(tiny_tokenizer().backend_tokenizer.to_str())
    vocab = spec["model"]["vocab"]
    vocab["\u2581"] = vocab.pop(" ")
    backend = Tokenizer.from_str(json.dumps(spec))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = decoders.Metaspace(prepend_scheme="first")
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def test_the_end_of_turn_is_no_text() -> None:
    assert read("done<eos>").text == "done"
    # A token that ends the turn without being special is cut all the same.
    assert read("done!").text == "done"
    assert read("done!", stop_reason="max_tokens").text == "done!"


def test_the_earliest_stop_string_cuts() -> None:
    assert read("one, two. three", stop_seqs=[".", ","]).text == "one"
    assert read("one", stop_seqs=["."], stop_reason="max_tokens").text == "one"


def test_a_special_token_may_be_a_stop_string() -> None:
    assert read("one<pad>", stop_seqs=["<pad>"]).text == "one"


@pytest.mark.parametrize(
    ("continued", "text"), [(True, " the end"), (False, "the end")]
)
def test_a_continued_message_keeps_its_leading_space(
    continued: bool, text: str
) -> None:
    message = read(
        " the end",
        metaspace(),
        prompt="once",
        continued=continued,
        stop_reason="max_tokens",
    )
    assert message.text == text


def test_reasoning_is_split_off() -> None:
    message = read("<think>\nhm\n</think>\n\nyes<eos>")
    assert message.content == [
        ContentReasoning(reasoning="hm"),
        ContentText(text="yes"),
    ]
    opened = read("hm</think>yes<eos>", prompt="assistant: <think>\n")
    assert opened.text == "yes"
    cut = read("<think>hm", stop_reason="max_tokens")
    assert cut.text == ""


def test_tool_calls_are_read_only_if_tools_were_offered() -> None:
    message = read(f"so {CALL}<eos>", tools=True)
    assert message.text == "so"
    assert message.tool_calls is not None
    assert message.tool_calls[0].function == "add"
    assert read(f"so {CALL}<eos>").text == f"so {CALL}"


def test_parallel_tool_calls_can_be_switched_off() -> None:
    both = read(CALL + CALL + "<eos>", tools=True)
    assert len(both.tool_calls or []) == 2
    one = read(CALL + CALL + "<eos>", tools=True, parallel_tool_calls=False)
    assert len(one.tool_calls or []) == 1


def test_marks_of_calls_may_be_special_tokens() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["[TOOL_CALLS]"]})
    text = '<pad>so[TOOL_CALLS][{"name": "add", "arguments": {"x": 1}}]<eos>'
    message = read(text, tokenizer, tools=True)
    assert message.text == "so"
    assert message.tool_calls is not None
    assert message.tool_calls[0].arguments == {"x": 1}


def test_a_checkpoint_that_can_parse_its_responses_does() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.response_template = {
        "start_anchor": "assistant: ",
        "fields": {
            "content": {"close": "<eos>"},
            "tool_calls": {
                "open": "<call>",
                "close": "</call>",
                "content": "json",
                "repeats": True,
                "transform": {"type": "function", "function": "{content}"},
            },
        },
    }
    text = 'so<call>{"name": "add", "arguments": {"x": 1}}</call><eos>'
    message = read(text, tokenizer, tools=True)
    assert message.tool_calls is not None
    assert message.tool_calls[0].arguments == {"x": 1}
    assert message.text == "so"
