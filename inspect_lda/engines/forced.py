"""Teacher forcing: the probability of known continuations, every alpha from one pass.

Requests are answered together, and their prompts come from the same store as those of
rollouts, so that scoring a string behind a prompt that is being sampled costs the
string alone.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import Cache

from inspect_lda.decoding.amplify import amplify, known_logits
from inspect_lda.decoding.curves import curves
from inspect_lda.decoding.known import KnownIds, Logits
from inspect_lda.decoding.nets import NetRows, Netted
from inspect_lda.decoding.support import Support
from inspect_lda.engines.base import Scored, ScoreRequest, TokenCurves
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.prefill import Prefiller, column_mask, padded_ids
from inspect_lda.engines.replay import replayed

MAX_LOGITS = 1 << 26
"""Most logits of one checkpoint that are held at a time (256 MiB in float32)."""


class ForcedScorer:
    """Scores continuations with one pair.

    Args:
        model: The pair as one model.
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.
    """

    def __init__(self, model: AmplifiedLM, allowed: Tensor, shared: Tensor) -> None:
        self._model = model
        self._allowed = allowed
        self._shared = shared
        self._known = KnownIds(allowed, shared)

    def __call__(
        self, requests: Sequence[ScoreRequest], prefiller: Prefiller
    ) -> list[Scored]:
        """Score requests, each on its own row."""
        answers: list[Scored] = []
        for group in self._groups(requests):
            answers += self._score(group, prefiller)
        return answers

    def _groups(
        self, requests: Sequence[ScoreRequest]
    ) -> Iterator[Sequence[ScoreRequest]]:
        start = 0
        while start < len(requests):
            count = max(1, how_many_fit(requests[start:], self._allowed.shape[0]))
            yield requests[start : start + count]
            start += count

    def _score(
        self, requests: Sequence[ScoreRequest], prefiller: Prefiller
    ) -> list[Scored]:
        if not self._model.rolls:
            return self._score_whole(requests)
        cache, mask, first = prefiller.shared([request.prompt for request in requests])
        after, before = (state.unsqueeze(1) for state in first)
        fed = max(len(request.continuation) for request in requests) - 1
        if fed > 0:
            more = self._feed(requests, cache, mask, fed)
            after = torch.cat([after, more[0]], dim=1)
            before = torch.cat([before, more[1]], dim=1)
        return [
            self._row(request, after[row], before[row])
            for row, request in enumerate(requests)
        ]

    def _score_whole(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        # Without a cache: some recurrent layers (jamba) restart from nothing when a
        # cache is fed more than one token, and say nothing.
        fed = [(*one.prompt, *one.continuation[:-1]) for one in requests]
        mask = column_mask([len(ids) for ids in fed]).to(self._model.device)
        kept = max(len(request.continuation) for request in requests)
        after, before = self._model.halves(
            None,
            input_ids=padded_ids(fed).to(self._model.device),
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=False,
            logits_to_keep=kept,
        )
        starts = [kept - len(request.continuation) for request in requests]
        return [
            self._row(request, after[row, start:], before[row, start:])
            for row, (request, start) in enumerate(zip(requests, starts, strict=True))
        ]

    def _feed(
        self, requests: Sequence[ScoreRequest], cache: Cache, mask: Tensor, fed: int
    ) -> tuple[Tensor, Tensor]:
        # Padding stands behind the shorter continuations, where causal attention
        # shows it to nobody.
        ids = torch.zeros(len(requests), fed, dtype=torch.long)
        for row, request in enumerate(requests):
            part = request.continuation[:-1]
            ids[row, : len(part)] = torch.tensor(part, dtype=torch.long)
        mask = pad(mask, (0, fed), value=1)
        return self._model.halves(
            cache,
            input_ids=ids.to(mask.device),
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, -fed:],
            use_cache=True,
        )

    def _row(self, request: ScoreRequest, after: Tensor, before: Tensor) -> Scored:
        length = len(request.continuation)
        steps: tuple[tuple[float, ...], ...] = ()
        if request.sampling is not None:
            both = after[:length], before[:length]
            steps = replayed(self._known, *both, request.continuation, request.sampling)
        target = torch.tensor(request.continuation, device=after.device).unsqueeze(-1)
        after = known_logits(after[:length], self._allowed)
        before = known_logits(before[:length], self._shared, self._allowed.shape[0])
        support = _support(after, request.support)

        def taken(alpha: float) -> tuple[float, ...]:
            amplified = amplify(after, before, alpha, shared=self._shared)
            scaled = (each / request.temperature for each in (after, before, amplified))
            logits = _drawable(Logits(*scaled), request, alpha, support)
            log_q = torch.log_softmax(logits, dim=-1)
            if support is not None:
                # A checkpoint that finds the whole support impossible says none of it.
                nothing = logits.amax(-1, keepdim=True).isneginf()
                log_q = log_q.masked_fill(nothing, -torch.inf)
            values: list[float] = log_q.gather(-1, target).squeeze(-1).tolist()
            return tuple(values)

        return Scored(
            log_q=tuple(taken(alpha) for alpha in request.alphas),
            log_p_after=taken(0.0),
            log_p_before=taken(-1.0),
            curves=self._curves(request, after, before),
            steps=steps,
        )

    def _curves(
        self, request: ScoreRequest, after: Tensor, before: Tensor
    ) -> TokenCurves | None:
        if not request.curves:
            return None
        found = curves(
            after,
            before,
            request.curves,
            temperature=request.temperature,
            allowed=self._allowed,
            shared=self._shared,
        )
        return TokenCurves(*(tuple(map(tuple, part.tolist())) for part in found))


def _support(after: Tensor, size: int) -> Support | None:
    if not size:
        return None
    width = min(size, after.shape[-1])
    return Support(None, after < after.topk(width, dim=-1).values[:, -1:])


def _drawable(
    logits: Logits, request: ScoreRequest, alpha: float, support: Support | None
) -> Tensor:
    """Amplified logits of a continuation's positions `[length, V]`; written to."""
    length, device = len(logits.amplified), logits.amplified.device
    rows = [Netted(step, request.nets, alpha, step) for step in range(length)]
    nets, floor = NetRows.of(rows, device), None
    if nets is not None:
        temperature = torch.full((length, 1), request.temperature, device=device)
        nets.shrink(logits, temperature, support)
        floor = nets.limit(logits, support).floor
    for restriction in (support, floor):
        if restriction is not None:
            restriction.restrict(logits.amplified)
    return logits.amplified


def how_many_fit(requests: Sequence[ScoreRequest], vocabulary: int) -> int:
    """How many requests, in order, keep their logits within `MAX_LOGITS`."""
    longest = 0
    for count, request in enumerate(requests):
        longest = max(longest, len(request.continuation))
        if longest * (count + 1) * vocabulary > MAX_LOGITS:
            return count
    return len(requests)
