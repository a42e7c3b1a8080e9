"""Do two tokenizers mean the same by an id?

Both checkpoints read and write the same ids, so a pair is only a pair if an id is the
same string on both sides. Tokens added on one side are common and harmless once masked
(see `vocabulary`); permuted ids or another tokenizer would turn the difference into
noise that looks like a finding, so they are refused.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROBE = (
    "Hello world, then the others gathered there! It's 12,345.67 at 9:30am;  two  "
    "spaces,\ttab\nand\r\n\n lines. "
    "naïve façade ﬁne Ångström №½ “quotes” 你好世界 こんにちは 안녕 Привет مرحبا 🙂🏽 "
    "def f(x):\n    return {'a': [1, 2]} # https://example.org/?q=1&r=2 CamelCase_snake"
)
"""Text on which normalizers and pre-tokenizers that differ are likely to disagree."""

# Truncation and padding are settings of a call; added tokens are compared as part of
# the vocabulary; the post-processor only adds BOS, and the decoder only makes text.
_IGNORED = ("truncation", "padding", "added_tokens", "post_processor", "decoder")


def check_tokenizers(
    after: "PreTrainedTokenizerBase", before: "PreTrainedTokenizerBase"
) -> tuple[str, ...]:
    """Compare two tokenizers, cheap checks first.

    Returns:
        Notes on differences that do no harm.

    Raises:
        LDAError: If an id means different things to them, or text becomes other ids.
    """
    if after is before:
        return ()
    _check_ids(after, before)
    notes = _check_algorithm(after, before)
    if after.chat_template != before.chat_template:
        notes = (*notes, _template_note(after, before))
    return notes


def _check_ids(
    after: "PreTrainedTokenizerBase", before: "PreTrainedTokenizerBase"
) -> None:
    """Refuse a token that moved, or an ordinary token that only one side has."""
    ours, theirs = after.get_vocab(), before.get_vocab()
    if ours == theirs:
        return
    added_ours, added_theirs = after.get_added_vocab(), before.get_added_vocab()
    strangers = sorted(
        (i, token)
        for token, i in ours.items()
        if theirs.get(token, i) != i
        or (token not in theirs and token not in added_ours)
    )
    if strangers:
        index, token = strangers[0]
        there = theirs.get(token)
        raise _different(
            f"{len(strangers)} tokens differ; the first is {token!r}, id {index} in "
            f"after and {'absent' if there is None else f'id {there}'} in before"
            f"{_instead(theirs, index)}"
        )
    missing = sorted(
        (i, token)
        for token, i in theirs.items()
        if token not in ours and token not in added_theirs
    )
    if missing:
        index, token = missing[0]
        raise _different(
            f"{len(missing)} tokens of before are unknown to after; the first is "
            f"{token!r}, id {index} in before and absent in after"
            f"{_instead(ours, index)}"
        )


def _instead(vocab: Mapping[str, int], index: int) -> str:
    """What the other side has at an id."""
    there = next((token for token, i in vocab.items() if i == index), None)
    return "" if there is None else f" (where id {index} is {there!r})"


def _check_algorithm(
    after: "PreTrainedTokenizerBase", before: "PreTrainedTokenizerBase"
) -> tuple[str, ...]:
    """Equal ids can still hide other merges or another normalizer."""
    parts = _differing_parts(after, before)
    if not parts:
        return ()
    common = after.get_added_vocab().keys() & before.get_added_vocab().keys()
    text = PROBE + "".join(sorted(common))
    ours = after.encode(text, add_special_tokens=False)
    theirs = before.encode(text, add_special_tokens=False)
    if ours != theirs:
        at = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
            min(len(ours), len(theirs)),
        )
        raise _different(
            f"they differ in {', '.join(parts)}: a probe text becomes other ids from "
            f"position {at} on: {_at(after, ours, at)} in after, "
            f"{_at(before, theirs, at)} in before"
        )
    if "model" in parts:
        raise _different("their ids agree but their models (merges or scores) do not")
    return (
        f"the tokenizers differ in {', '.join(parts)}, but a probe text becomes the "
        "same ids; after's is used for both",
    )


def _differing_parts(
    after: "PreTrainedTokenizerBase", before: "PreTrainedTokenizerBase"
) -> list[str]:
    if not (after.is_fast and before.is_fast):
        # Pure Python tokenizers show no inner state: only the probe can tell.
        return ["class"]
    ours, theirs = (_inner(one) for one in (after, before))
    if ours == theirs:
        return []
    one, two = json.loads(ours), json.loads(theirs)
    for state in (one, two):
        # Ids are compared already, and one-sided added tokens may also stand here.
        if isinstance(state.get("model"), dict):
            state["model"].pop("vocab", None)
    names = sorted((one.keys() | two.keys()) - set(_IGNORED))
    return [name for name in names if one.get(name) != two.get(name)]


def _inner(tokenizer: "PreTrainedTokenizerBase") -> str:
    backend: Any = tokenizer.backend_tokenizer
    state: str = backend.to_str()
    return state


def _template_note(
    after: "PreTrainedTokenizerBase", before: "PreTrainedTokenizerBase"
) -> str:
    if after.chat_template is None:
        return (
            "after has no chat template while before has one: chats are rendered "
            "without a template for both"
        )
    what = "before has no chat template" if before.chat_template is None else "differ"
    start = "the chat templates " if what == "differ" else ""
    return f"{start}{what}: after's is used for both"


def _different(detail: str) -> LDAError:
    return LDAError(
        f"before: its tokenizer is not that of after: {detail}. A pair needs the same "
        "token at the same id on both sides: give the checkpoint that `after` was "
        "trained from."
    )


def _at(tokenizer: "PreTrainedTokenizerBase", ids: list[int], at: int) -> str:
    if at >= len(ids):
        return "nothing"
    return f"{tokenizer.convert_ids_to_tokens(ids[at])!r} (id {ids[at]})"
