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

from inspect_lda.engines.base import Scored, ScoreRequest
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.forced_rows import ForcedRows
from inspect_lda.engines.prefill import Prefiller, column_mask, padded_ids

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
        self._width = allowed.shape[0]
        self._judge = ForcedRows(allowed, shared)

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
            count = max(1, how_many_fit(requests[start:], self._width))
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
            self._judge(request, after[row], before[row])
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
            self._judge(request, after[row, start:], before[row, start:])
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


def how_many_fit(requests: Sequence[ScoreRequest], vocabulary: int) -> int:
    """How many requests, in order, keep their logits within `MAX_LOGITS`."""
    longest = 0
    for count, request in enumerate(requests):
        longest = max(longest, len(request.continuation))
        if longest * (count + 1) * vocabulary > MAX_LOGITS:
            return count
    return len(requests)
