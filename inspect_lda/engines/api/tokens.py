"""What the tokenizer says of a served model's ids."""

import json
from typing import TYPE_CHECKING, Any

from inspect_lda.checkpoints.source import locate
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_MARK = "lda_turn_mark"


def barred_ids(
    tokenizer: "PreTrainedTokenizerBase", vocabulary: int, where: str
) -> frozenset[int]:
    """Ids that a model lists and its tokenizer does not know.

    Args:
        tokenizer: Said to be that of the model.
        vocabulary: How many ids the endpoint has.
        where: The endpoint, for the error.

    Raises:
        LDAError: If the tokenizer has ordinary tokens that the model has not.
    """
    known = tokenizer.get_vocab()
    added = tokenizer.get_added_vocab()
    beyond = sorted((i, t) for t, i in known.items() if i >= vocabulary)
    strangers = [(i, t) for i, t in beyond if t not in added]
    if strangers:
        index, token = strangers[0]
        raise LDAError(
            f"-M tokenizer: it has the token {token!r} at id {index}, the model at "
            f"{where} only {vocabulary} ids. Give the tokenizer of the served model"
        )
    return frozenset(range(vocabulary)) - frozenset(known.values())


def end_of_turn_ids(
    tokenizer: "PreTrainedTokenizerBase", source: str
) -> frozenset[int]:
    """Every id that ends a turn: of tokenizer, generation config and chat template."""
    ids = {tokenizer.eos_token_id, *_generation_config_ids(source)}
    ids.add(_template_end(tokenizer))
    return frozenset(i for i in ids if i is not None)


def _generation_config_ids(source: str) -> list[int]:
    if source.startswith("demo/"):
        return []
    try:
        path = locate(source, "tokenizer").file("generation_config.json")
    except LDAError:
        return []
    if path is None:
        return []
    found = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
    return found if isinstance(found, list) else [found]


def _template_end(tokenizer: Any) -> int | None:
    """The special token that the chat template writes right after a reply."""
    if not tokenizer.chat_template:
        return None
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": _MARK},
    ]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception:  # templates are programs of others; rendering will tell of it
        return None
    behind = str(text).rpartition(_MARK)[2].lstrip()
    ids = tokenizer(behind, add_special_tokens=False)["input_ids"]
    ends = set(tokenizer.get_added_vocab().values()) | set(tokenizer.all_special_ids)
    return ids[0] if ids and ids[0] in ends else None
