"""What the logits in front of given tokens say of them, at every alpha."""

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify, known_logits
from inspect_lda.decoding.curves import curves
from inspect_lda.decoding.known import KnownIds, Logits
from inspect_lda.decoding.nets import NetRows, Netted
from inspect_lda.decoding.support import Support
from inspect_lda.engines.base import Scored, ScoreRequest, TokenCurves
from inspect_lda.engines.replay import replayed


class ForcedRows:
    """Scores given tokens.

    Args:
        allowed: `[V]` bool, ids that `after`'s tokenizer knows.
        shared: `[V]` bool, ids that both tokenizers know as the same token.
    """

    def __init__(self, allowed: Tensor, shared: Tensor) -> None:
        self._allowed = allowed
        self._shared = shared
        self._known = KnownIds(allowed, shared)

    def __call__(
        self, request: ScoreRequest, after: Tensor, before: Tensor, first: int = 0
    ) -> Scored:
        """Score as many tokens of the continuation as there are logits.

        Args:
            request: What is asked.
            after: `[n, V]` logits of `after` in front of them; more are left out.
            before: `[n, V_before]` logits of `before`.
            first: The place of the first of them in the continuation.
        """
        tokens = request.continuation[first : first + len(after)]
        after, before = after[: len(tokens)], before[: len(tokens)]
        steps: tuple[tuple[float, ...], ...] = ()
        if request.sampling is not None:
            steps = replayed(
                self._known,
                after,
                before,
                tokens,
                request.sampling,
                earlier=request.continuation[:first],
            )
        target = torch.tensor(tokens, device=after.device).unsqueeze(-1)
        after = known_logits(after, self._allowed)
        before = known_logits(before, self._shared, self._allowed.shape[0])
        support = _support(after, request.support)

        def taken(alpha: float) -> tuple[float, ...]:
            amplified = amplify(after, before, alpha, shared=self._shared)
            scaled = (each / request.temperature for each in (after, before, amplified))
            logits = _drawable(Logits(*scaled), request, alpha, support, first)
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
    logits: Logits,
    request: ScoreRequest,
    alpha: float,
    support: Support | None,
    first: int,
) -> Tensor:
    """Amplified logits of a continuation's positions `[n, V]`; written to."""
    length, device = len(logits.amplified), logits.amplified.device
    nets = request.nets
    rows = [Netted(row, nets, alpha, first + row) for row in range(length)]
    netted, floor = NetRows.of(rows, device), None
    if netted is not None:
        temperature = torch.full((length, 1), request.temperature, device=device)
        netted.shrink(logits, temperature, support)
        floor = netted.limit(logits, support).floor
    for restriction in (support, floor):
        if restriction is not None:
            restriction.restrict(logits.amplified)
    return logits.amplified
