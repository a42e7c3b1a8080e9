"""Checkpoint pairs of random weights, of any size, made in a directory.

What an engine costs depends on the shapes alone. Texts of such a pair are gibberish.
"""

from pathlib import Path
from typing import Any

import torch
import yaml
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

SHAPES: dict[str, dict[str, int]] = yaml.safe_load(
    Path(__file__).with_name("configs.yaml").read_text(encoding="utf-8")
)
SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>")
PAD, EOS, BOS, UNK = range(len(SPECIALS))
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %} {{ m['role'] }} {{ m['content'] }}"
    "{% endfor %}"
)


def save_random_pair(
    directory: Path,
    shape: str,
    *,
    context: int = 4096,
    dtype: str = "float32",
    device: str = "cpu",
) -> tuple[Path, Path]:
    """Write two checkpoints of one shape and one tokenizer.

    Args:
        directory: Gets the folders `after` and `before`.
        shape: A name in configs.yaml.
        context: Tokens that the context window holds.
        dtype: Of the saved weights.
        device: Where the random numbers are drawn.

    Returns:
        The folders of `after` and of `before`.
    """
    tokenizer = _tokenizer(SHAPES[shape]["vocab_size"])
    folders = directory / "after", directory / "before"
    for seed, folder in enumerate(folders):
        config = AutoConfig.for_model(
            "llama",
            **SHAPES[shape],
            max_position_embeddings=context,
            tie_word_embeddings=True,
            pad_token_id=PAD,
            eos_token_id=EOS,
            bos_token_id=BOS,
        )
        with torch.device(device):
            torch.manual_seed(seed)
            model: Any = AutoModelForCausalLM.from_config(
                config, dtype=getattr(torch, dtype)
            )
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folders


def _tokenizer(size: int) -> PreTrainedTokenizerFast:
    """One word, one token: enough to render a chat and to decode a rollout."""
    words = [*SPECIALS, *(f"w{index}" for index in range(len(SPECIALS), size))]
    backend = Tokenizer(
        WordLevel({word: i for i, word in enumerate(words)}, unk_token=SPECIALS[UNK])
    )
    backend.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=SPECIALS[PAD],
        eos_token=SPECIALS[EOS],
        bos_token=SPECIALS[BOS],
        unk_token=SPECIALS[UNK],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
