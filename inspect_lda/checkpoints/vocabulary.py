"""Which ids of the combined distribution may be sampled, and which are amplified.

Embedding tables are padded and tokens are added on one side: rows that no tokenizer
knows carry arbitrary logits, whose difference amplification would turn into garbage.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Vocabulary:
    """Which ids of the combined distribution may be sampled, and which amplified.

    Attributes:
        size: Width of the combined logits, which is that of `after`.
        allowed: [size], on the CPU: ids that `after`'s tokenizer knows.
        shared: [size], on the CPU: ids that both know as the same string. Where
            `allowed & ~shared` the difference counts as 0 in log-prob space.
        notes: What was masked, for people.
    """

    size: int
    allowed: "torch.Tensor"
    shared: "torch.Tensor"
    notes: tuple[str, ...]


def build_vocabulary(
    after: "PreTrainedTokenizerBase",
    before: "PreTrainedTokenizerBase",
    size: int,
    before_size: int,
) -> Vocabulary:
    """Masks over the logits of `after`, for two tokenizers that passed the check.

    Args:
        after: Tokenizer of `after`.
        before: Tokenizer of `before`.
        size: Logit width of `after`.
        before_size: Logit width of `before`.

    Raises:
        LDAError: If a tokenizer is larger than the table it is used with.
    """
    import torch

    of_after = {i: token for token, i in after.get_vocab().items()}
    of_before = {i: token for token, i in before.get_vocab().items()}
    notes = [
        *_check_width("after", after, of_after, size),
        *_check_width("before", before, of_before, before_size),
    ]
    allowed = torch.zeros(size, dtype=torch.bool)
    shared = torch.zeros(size, dtype=torch.bool)
    known = sorted(i for i in of_after if i < size)
    common = [i for i in known if i < before_size and of_before.get(i) == of_after[i]]
    allowed[known] = True
    shared[common] = True
    notes += _mask_notes(of_after, of_before, size, frozenset(common))
    return Vocabulary(size, allowed, shared, tuple(notes))


def _mask_notes(
    of_after: Mapping[int, str],
    of_before: Mapping[int, str],
    size: int,
    common: frozenset[int],
) -> list[str]:
    known = {i for i in of_after if i < size}
    notes = []
    if padded := size - len(known):
        notes.append(f"{padded} ids that after's tokenizer does not know are masked")
    if own := sorted(known - common):
        names = _some(of_after[i] for i in own)
        notes.append(f"{len(own)} tokens only in after, not amplified: {names}")
    dropped = [i for i in of_before if i >= size or of_after.get(i) != of_before[i]]
    if dropped:
        names = _some(of_before[i] for i in sorted(dropped))
        notes.append(f"{len(dropped)} tokens only in before, never sampled: {names}")
    return notes


def end_of_turn_ids(
    after: Any,
    before: Any,
    tokenizer: "PreTrainedTokenizerBase",
    vocabulary: Vocabulary,
) -> tuple[frozenset[int], str | None]:
    """Every id that ends a turn for either model, and a note if they disagree.

    Args:
        after: The model, for its `generation_config`.
        before: The same.
        tokenizer: That of `after`.
        vocabulary: Ids that `after` cannot emit end nothing, and ids that mean another
            string to `before` are not its end of turn.
    """
    ours, theirs = (_eos_of(model) for model in (after, before))
    known = vocabulary.allowed.nonzero().flatten().tolist()
    shared = vocabulary.shared.nonzero().flatten().tolist()
    ids = (ours & frozenset(known)) | (theirs & frozenset(shared))
    if tokenizer.eos_token_id in known:
        ids |= {int(tokenizer.eos_token_id)}
    if ours == theirs:
        return ids, None
    return ids, (
        f"the end-of-turn ids differ (after {sorted(ours)}, before {sorted(theirs)}): "
        f"any of {sorted(ids)} ends a turn"
    )


def _eos_of(model: Any) -> frozenset[int]:
    found = model.generation_config.eos_token_id
    if found is None:
        return frozenset()
    return frozenset(found if isinstance(found, list) else [found])


def _check_width(
    argument: str,
    tokenizer: "PreTrainedTokenizerBase",
    tokens: Mapping[int, str],
    size: int,
) -> list[str]:
    """Tokens beyond the table: harmless if added, a stranger's tokenizer otherwise."""
    beyond = sorted(i for i in tokens if i >= size)
    if not beyond:
        return []
    added = set(tokenizer.get_added_vocab().values())
    ordinary = [i for i in beyond if i not in added]
    if ordinary:
        raise LDAError(
            f"{argument}: its tokenizer has {len(tokens)} tokens but the model only "
            f"{size} logits; the first without one is {tokens[ordinary[0]]!r}, id "
            f"{ordinary[0]}. The tokenizer is not this checkpoint's: restore the one "
            "it was saved with."
        )
    names = _some(tokens[i] for i in beyond)
    return [f"{len(beyond)} added tokens of {argument} have no logit: {names}"]


def _some(names: Iterable[str], limit: int = 5) -> str:
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(map(repr, listed[:limit])) + more
