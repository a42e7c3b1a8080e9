"""The checkpoint pair: two models that mean the same by every token id.

`load_pair` is lazy and process-wide: a checkpoint is read once whatever the number of
evals, alphas, roles and retries, and adapters of one base share its tensors. Everything
that would make an amplified difference meaningless (other tokenizers, one-sided
quantisation, an adapter of another base) is refused here, before a token is sampled.

Importing this module, and building a `PairSpec`, loads neither torch nor transformers.
"""

import gc
import logging
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspect_lda.checkpoints.preflight import check_configs, context_length
from inspect_lda.checkpoints.registry import Registry, read_configs
from inspect_lda.checkpoints.sides import Sides, find_sides
from inspect_lda.checkpoints.tokenizers import check_tokenizers
from inspect_lda.checkpoints.vocabulary import Vocabulary as Vocabulary
from inspect_lda.checkpoints.vocabulary import build_vocabulary, end_of_turn_ids
from inspect_lda.errors import LDAError
from inspect_lda.threads import wait_passively

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from inspect_lda.checkpoints.registry import Configs

__all__ = [
    "Pair",
    "PairSpec",
    "Vocabulary",
    "clear_registry",
    "forget_after",
    "load_pair",
    "load_tokenizer",
]

wait_passively()

DTYPES = ("auto", "float32", "float16", "bfloat16")
HEAD_DTYPES = ("auto", "float32")
AMPLIFIED = ("logits", "weights")
logger = logging.getLogger(__name__)

_registry = Registry()
_pairs: "dict[PairSpec, tuple[Sides, Pair]]" = {}


@dataclass(frozen=True)
class PairSpec:
    """What the user asked for.

    Attributes:
        after: Hub id (`org/name[@revision]`), local directory, PEFT adapter, GGUF file
            or `demo/<organism>`.
        before: The same; None only if `after` is an adapter (then its base) or a demo.
        dtype: auto, float32, float16 or bfloat16. auto is float32 on the CPU and
            float16 on a GPU (bfloat16 where float16 overflows).
        head_dtype: Precision of the head and of the logits: auto (that of the body)
            or float32.
        device: auto, cpu, cuda, cuda:<n>, mps, or balanced (over all GPUs).
        before_device: The device of `before`; None is that of `after`.
        attn_implementation: As transformers takes it.
        trust_remote_code: Whether code from a checkpoint may run.
        allow_mixed_quantization: Accept sides that are quantised differently.
        adapter_scale: Multiplies the LoRA scaling of `after`'s adapter.
        compile: Whether decode steps run in static memory and compiled.
        amplify: What is extrapolated along alpha: logits, or the weights of adapters.

    Raises:
        LDAError: If a value is not allowed.
    """

    after: str
    before: str | None = None
    dtype: str = "auto"
    head_dtype: str = "auto"
    device: str = "auto"
    before_device: str | None = None
    attn_implementation: str | None = None
    trust_remote_code: bool = False
    allow_mixed_quantization: bool = False
    adapter_scale: float = 1.0
    compile: bool = False
    amplify: str = "logits"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise LDAError(
                f"dtype: got '{self.dtype}'. Allowed: {', '.join(DTYPES)}. Quantised "
                "checkpoints are recognised by their config."
            )
        if self.head_dtype not in HEAD_DTYPES:
            raise LDAError(
                f"head_dtype: got '{self.head_dtype}'. Allowed: auto (that of the "
                "body) and float32."
            )
        if self.amplify not in AMPLIFIED:
            raise LDAError(
                f"amplify: got '{self.amplify}'. Allowed: logits, and weights (for "
                "adapters)."
            )
        if not math.isfinite(self.adapter_scale):
            raise LDAError(
                f"adapter_scale: got {self.adapter_scale}. It must be a finite number; "
                "1 is the adapter as trained."
            )


@dataclass(frozen=True, eq=False)
class Pair:
    """Two loaded checkpoints that passed every check.

    Attributes:
        spec: What was asked for.
        after: Causal LM after the training (a PeftModel for an adapter), eval mode.
        before: Causal LM before the training.
        tokenizer: That of `after`; its chat template serves both.
        vocabulary: Which ids may be sampled, and which are amplified.
        eos_ids: Every id that ends a turn.
        context_length: The shorter of both context windows.
        shared_weights: Whether the base tensors are held once.
        before_name: Canonical name with the commit, for logs.
        after_name: The same of `after`.
        notes: Everything noticed that does not forbid the pair; also logged.
    """

    spec: PairSpec
    after: "PreTrainedModel | PeftModel"
    before: "PreTrainedModel | PeftModel"
    tokenizer: "PreTrainedTokenizerBase"
    vocabulary: Vocabulary
    eos_ids: frozenset[int]
    context_length: int
    shared_weights: bool
    before_name: str
    after_name: str
    notes: tuple[str, ...]


def load_tokenizer(spec: PairSpec) -> "PreTrainedTokenizerBase":
    """The tokenizer of `after`; reads no weights.

    Raises:
        LDAError: If the checkpoint is missing or has no tokenizer.
    """
    with _registry.lock:
        side = find_sides(spec.after, spec.before).after
        return _registry.tokenizer(side, spec.trust_remote_code)


def load_pair(spec: PairSpec) -> Pair:
    """Load a pair, or return it if it is loaded; the same spec gives the same object.

    Only a local checkpoint that was written again since then is read again.

    Raises:
        LDAError: If a checkpoint is missing or the two do not make a pair; the message
            names the argument and the way out.
    """
    with _registry.lock:
        if spec in _pairs and _pairs[spec][0].are_current():
            return _pairs[spec][1]
        _pairs.pop(spec, None)
        sides = find_sides(spec.after, spec.before)
        pair = _load(spec, sides)
        for note in pair.notes:
            logger.warning("%s vs %s: %s", pair.after_name, pair.before_name, note)
        _pairs[spec] = (sides, pair)
        return pair


def clear_registry() -> None:
    """Forget every loaded checkpoint; memory is freed once nobody holds a pair."""
    with _registry.lock:
        _pairs.clear()
        _registry.clear()
    gc.collect()
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def forget_after(spec: PairSpec) -> None:
    """Forget a pair and what only its `after` holds: of a series, `before` stays."""
    with _registry.lock:
        if spec in _pairs:
            sides, _ = _pairs.pop(spec)
            _registry.forget(sides)
    gc.collect()


def _load(spec: PairSpec, sides: Sides) -> Pair:
    if sides.after.adapter is None and spec.adapter_scale != 1.0:
        raise LDAError(
            f"adapter_scale: got {spec.adapter_scale}, but after='{spec.after}' is not "
            "an adapter. Leave adapter_scale out."
        )
    configs = read_configs(sides, spec.trust_remote_code)
    ours, theirs = (
        _registry.tokenizer(side, spec.trust_remote_code)
        for side in (sides.after, sides.before)
    )
    notes = [
        *sides.notes,
        *check_configs(*sides.both, configs, spec.allow_mixed_quantization),
        *check_tokenizers(ours, theirs),
    ]
    length, length_note = context_length(configs, ours)
    after, before, widths = _models(spec, sides, configs)
    vocabulary = build_vocabulary(ours, theirs, *widths)
    eos_ids, eos_note = end_of_turn_ids(after, before, ours, vocabulary)
    notes += [*vocabulary.notes, *filter(None, (length_note, eos_note))]
    return Pair(
        spec=spec,
        after=after,
        before=before,
        tokenizer=ours,
        vocabulary=vocabulary,
        eos_ids=eos_ids,
        context_length=length,
        shared_weights=sides.after.base == sides.before.base,
        before_name=sides.before.name,
        after_name=sides.after.name,
        notes=tuple(notes),
    )


def _models(
    spec: PairSpec, sides: Sides, configs: "Configs"
) -> tuple[Any, Any, tuple[int, int]]:
    """Both models, held alike, and the widths of their logits."""
    from inspect_lda.checkpoints.placement import place
    from inspect_lda.checkpoints.weights import logit_width

    ours, theirs = placements = place(spec, sides, configs)
    after, before = _registry.models(
        sides, configs, placements, spec.adapter_scale, spec.head_dtype
    )
    widths = (
        logit_width(after, sides.after, ours),
        logit_width(before, sides.before, theirs),
    )
    return after, before, widths
