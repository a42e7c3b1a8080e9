"""A whole check of a pair: how it computes, how its weights differ, what follows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import inspect_lda
from inspect_lda.calibration.advice import advice_on
from inspect_lda.calibration.deltas import compare, erased_of_adapter
from inspect_lda.calibration.document import Check, Deltas, Side
from inspect_lda.calibration.probes import render_probes
from inspect_lda.calibration.result import Limits
from inspect_lda.calibration.self_test import Plan, run_self_test
from inspect_lda.calibration.stored import Files, Loaded, files_of
from inspect_lda.chat.render import ChatRenderer
from inspect_lda.checkpoints.preflight import quantization
from inspect_lda.checkpoints.sides import find_sides
from inspect_lda.engines.halves import causal_lm
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.errors import LDAError
from inspect_lda.pair import Pair, PairSpec, load_pair

POINTS = 8
"""Points of the curve a decade of alpha."""


@dataclass(frozen=True)
class Asked:
    """What to check a pair with.

    Attributes:
        texts: Prompts, two at least.
        prompt_set: What they are, for the record.
        length: Tokens a reply.
        rows: Rows of a batch.
        reference: Whether to compute in float32 as well; None where that is cheap.
        limits: When an alpha is honest.
        adapter: The adapter that `after` was made with, if it is at hand.
        adapter_scale: Multiplies that adapter's scaling.
        chat_template: As the provider takes it.
    """

    texts: Sequence[str]
    prompt_set: dict[str, str]
    length: int = 8
    rows: int = 32
    reference: bool | None = None
    limits: Limits = field(default_factory=Limits)
    adapter: str | None = None
    adapter_scale: float = 1.0
    chat_template: str | None = None


def check_pair(spec: PairSpec, asked: Asked) -> Check:
    """Check a pair.

    Raises:
        LDAError: If the pair can not be loaded, or the adapter is none of `before`'s.
    """
    pair = load_pair(spec)
    decoder = PairDecoder(pair, asked.rows)
    renderer = ChatRenderer(
        pair.tokenizer, checkpoint=spec.after, chat_template=asked.chat_template
    )
    plan = Plan(
        level="full",
        prompts=render_probes(
            renderer, asked.texts, pair.context_length - asked.length
        ),
        rows=asked.rows,
        length=asked.length,
        points=POINTS,
        reference=asked.reference,
        limits=asked.limits,
    )
    test = run_self_test(decoder, plan)
    weights = _Weights.of(pair)
    deltas = _with_adapter(weights.deltas(), pair, asked)
    after, before = weights.sides(pair)
    return Check(
        version=inspect_lda.__version__,
        after=after,
        before=before,
        device=str(decoder.device),
        prompt_set=asked.prompt_set,
        test=test,
        deltas=deltas,
        advice=advice_on(test, deltas, after, before),
        notes=pair.notes,
    )


@dataclass(frozen=True)
class _Weights:
    """What of the two checkpoints is compared."""

    source: str
    after: Files | Loaded
    before: Files | Loaded
    notes: tuple[str, ...]

    @classmethod
    def of(cls, pair: Pair) -> "_Weights":
        sides = find_sides(pair.spec.after, pair.spec.before)
        loaded = Loaded(causal_lm(pair.after)), Loaded(causal_lm(pair.before))
        adapted = any(side.adapter for side in sides.both)
        if adapted:
            odd = [why for one in loaded if (why := one.obstacle())]
            notes = tuple(f"not compared: {why}" for why in odd)
            same = sides.after.base == sides.before.base
            return cls("adapter" if same else "loaded weights", *loaded, notes)
        files = [files_of(side.base) for side in sides.both]
        ours, theirs = files
        if ours is not None and theirs is not None and ours.keys() & theirs.keys():
            return cls("files", ours, theirs, ())
        note = "the files are no safetensors of one form: weights compared as loaded"
        return cls("loaded weights", *loaded, (note,))

    def deltas(self) -> Deltas:
        return compare(self.source, self.after, self.before, self.notes)

    def sides(self, pair: Pair) -> tuple[Side, Side]:
        after, before = (
            Side(
                name=name,
                stored=weights.dtypes(),
                quantization=quantization(causal_lm(model).config),
            )
            for name, weights, model in (
                (pair.after_name, self.after, pair.after),
                (pair.before_name, self.before, pair.before),
            )
        )
        return after, before


def _with_adapter(deltas: Deltas, pair: Pair, asked: Asked) -> Deltas:
    """Count what merging lost, where the adapter is at hand."""
    if asked.adapter is None:
        return deltas
    if deltas.source == "adapter":
        raise LDAError(
            f"--adapter {asked.adapter}: after='{pair.spec.after}' is an adapter "
            "already. --adapter is for a checkpoint that an adapter was merged into; "
            "leave it out"
        )
    made = replace(pair.spec, after=asked.adapter, adapter_scale=asked.adapter_scale)
    adapted = Loaded(causal_lm(load_pair(made).after))
    if (why := adapted.obstacle()) is not None:
        raise LDAError(
            f"--adapter {asked.adapter}: {why}, of which it is not known what they "
            "add. Give a LoRA adapter"
        )
    merged = Loaded(causal_lm(pair.after))
    erased, total = erased_of_adapter(merged, adapted)
    return deltas.model_copy(
        update={"adapter_erased": erased, "adapter_weights": total}
    )
