"""Tokenizers of the tiny served checkpoints: byte-level BPE, as llama.cpp reads it.

The pieces stand in for a real vocabulary's: every printable character, a space before
every letter, and pairs of letters. `text` holds ASCII alone, so that every token is
whole text. `bytes` holds all 256 bytes: most tokens from 0x80 on are a part of a
character, at which llama.cpp leaves log-probabilities out.
"""

import string
from typing import Literal

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from tests.tiny import CHAT_TEMPLATE, SPECIALS

Vocabulary = Literal["text", "bytes"]

# The byte-level alphabet writes a space and a newline as these.
_SPACE, _NEWLINE = "Ġ", "Ċ"


def served_tokenizer(kind: Vocabulary, size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of exactly `size` ids; the first four are `tests.tiny.SPECIALS`.

    Args:
        kind: Of ASCII text alone, or with all 256 bytes.
        size: At most 828 ("text") or 988 ("bytes").

    Raises:
        ValueError: If there are not so many pieces, or more than so many characters.
    """
    tokens = [*SPECIALS, *_alphabet(kind)]
    merges = _merges()[: size - len(tokens)]
    tokens += ["".join(pair) for pair in merges]
    if len(tokens) != size:
        raise ValueError(f"size: no {kind!r} vocabulary of {size} ids, {len(tokens)}")
    vocab = {token: index for index, token in enumerate(tokens)}
    backend = Tokenizer(BPE(vocab=vocab, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    pad, eos, bos, unk = SPECIALS
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=pad,
        eos_token=eos,
        bos_token=bos,
        unk_token=unk,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _alphabet(kind: Vocabulary) -> list[str]:
    if kind == "bytes":
        return sorted(pre_tokenizers.ByteLevel.alphabet())
    return [_SPACE, _NEWLINE, *(chr(code) for code in range(33, 127))]


def _merges() -> list[tuple[str, str]]:
    letters = string.ascii_lowercase
    return [(_SPACE, one) for one in string.ascii_letters] + [
        (first, second) for first in letters for second in letters
    ]
