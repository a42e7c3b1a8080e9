"""The pair behind two endpoints: asked once what it is, and checked to be one."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspect_lda.engines.api.connect import connect
from inspect_lda.engines.api.spec import ApiSpec
from inspect_lda.engines.api.tokens import barred_ids, end_of_turn_ids
from inspect_lda.engines.api.view import Looking, Side, View
from inspect_lda.engines.api.watch import Watch, Watched
from inspect_lda.engines.base import EngineError, Request, ScoreRequest
from inspect_lda.engines.rows import Decoding
from inspect_lda.errors import LDAError
from inspect_lda.pair import PairSpec, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ENDLESS = 10**9
"""Some tokenizers say that a context holds more tokens than this."""


@dataclass(frozen=True)
class ServedPair:
    """Two endpoints that were found to serve a pair.

    Attributes:
        spec: What was asked for.
        sides: The endpoints of `after` and `before`.
        watch: Notices if a model is replaced.
        decoding: What all rows share.
        vocabulary: Size of the vocabulary.
        barred: Ids that no tokenizer knows.
        after_name: Name for logs.
        before_name: Name for logs.
        context_length: The shorter of both context windows; None if nobody knows.
    """

    spec: ApiSpec
    sides: tuple[Watched, Watched]
    watch: Watch
    decoding: Decoding
    vocabulary: int
    barred: frozenset[int]
    after_name: str
    before_name: str
    context_length: int | None

    def view(self, request: Request | ScoreRequest, lone: bool = False) -> View:
        """What reads the supports that a request asks for.

        Args:
            request: Names the size of the support.
            lone: Leave `before` out; `after` is read in its place.

        Raises:
            EngineError: If an endpoint's lists are too short for it.
        """
        after, before = (one.side for one in self.sides)
        for side in (after,) if lone else (after, before):
            _check_length(side, request.support)
        looking = Looking(
            k=request.support or None,
            before_top_k=self.spec.before_top_k,
            missing=self.spec.missing,
            barred=self.barred,
        )
        return View(after, None if lone else before, looking, self.watch)

    def check(self, request: Request) -> None:
        """Refuse what can not be answered.

        Raises:
            EngineError: If the prompt is empty or ids lie beyond the vocabulary.
        """
        if not request.prompt:
            raise EngineError("the prompt holds no tokens; it needs at least one")
        for what, ids in (
            ("the prompt holds", request.prompt),
            ("logit_bias names", tuple(request.sampling.logit_bias)),
        ):
            if max(ids, default=0) >= self.vocabulary:
                raise EngineError(
                    f"{what} token id {max(ids)}; the model has ids below "
                    f"{self.vocabulary}"
                )

    def close(self) -> None:
        """Close all connections."""
        for one in self.sides:
            one.endpoint.close()


async def open_pair(spec: ApiSpec) -> ServedPair:
    """Ask both endpoints what they are.

    Raises:
        LDAError: If they serve no pair, or nothing exact can be had from them.
        EngineError: If an endpoint does not answer.
    """
    tokenizer = await asyncio.to_thread(read_tokenizer, spec)
    sides = await connect(spec, tokenizer)
    after, before = (one.side for one in sides)
    vocabulary = _vocabulary(after, before)
    barred = barred_ids(tokenizer, vocabulary, after.url)
    length = _context_length(after, before, tokenizer)
    source = spec.tokenizer or spec.after
    names = [f"{side.can.model} at {side.url}" for side in (after, before)]
    return ServedPair(
        spec=spec,
        sides=sides,
        watch=Watch(sides),
        decoding=Decoding(
            tokenizer=tokenizer,
            eos_ids=end_of_turn_ids(tokenizer, source),
            context_length=length or ENDLESS,
            precision="as served",
            masked_ids=len(barred),
        ),
        vocabulary=vocabulary,
        barred=barred,
        after_name=names[0],
        before_name=names[1],
        context_length=length,
    )


def read_tokenizer(spec: ApiSpec) -> "PreTrainedTokenizerBase":
    """The tokenizer of the served models, from this machine or the hub.

    Raises:
        LDAError: If there is none under the name; says how to give one.
    """
    source = spec.tokenizer or spec.after
    try:
        return load_tokenizer(
            PairSpec(source, source, trust_remote_code=spec.trust_remote_code)
        )
    except LDAError as error:
        if spec.tokenizer:
            raise LDAError(f"-M tokenizer={source!r}: {error.message}") from error
        raise LDAError(
            f"engine=api needs the tokenizer of the served model, and {source!r} "
            "names none here. Give a hub id, a directory or a GGUF file: -M "
            f"tokenizer=org/name ({error.message})"
        ) from error


def _vocabulary(after: Side, before: Side) -> int:
    sizes = (after.can.vocabulary, before.can.vocabulary)
    if None not in sizes and sizes[0] != sizes[1]:
        raise LDAError(
            f"before: {before.can.model} at {before.url} has {sizes[1]} ids, after "
            f"({after.can.model} at {after.url}) {sizes[0]}: a pair needs the same "
            "token at the same id on both sides. Give the checkpoint that `after` was "
            "trained from"
        )
    known = sizes[0] if sizes[0] is not None else sizes[1]
    if known is None:
        raise LDAError(
            f"neither {after.url} nor {before.url} tells the size of its vocabulary"
        )
    return known


def _context_length(
    after: Side, before: Side, tokenizer: "PreTrainedTokenizerBase"
) -> int | None:
    lengths = [after.can.context_length, before.can.context_length]
    known = [length for length in lengths if length]
    if not known and tokenizer.model_max_length < ENDLESS:
        known = [int(tokenizer.model_max_length)]
    return min(known, default=None)


def _check_length(side: Side, support: int) -> None:
    limit = side.can.max_top
    given = side.name == "before" and support > 0 and side.can.scores_ids > 0
    if limit is None or given or 0 < support <= limit:
        return
    asked = f"support={support}" if support else "support=full"
    raise EngineError(
        f"{asked}: {side.name} at {side.url} tells the log-probabilities of at most "
        f"{limit} ids. Take -M support={limit}, or raise the server's limit"
    )
