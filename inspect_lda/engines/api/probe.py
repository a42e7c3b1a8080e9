"""What an endpoint can really do, found by asking it: about fifty small requests."""

from typing import Any

from inspect_lda.engines.api import checks, limits
from inspect_lda.engines.api.detect import Identity, identify
from inspect_lda.engines.api.dialect import Capabilities
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import EndpointError, EndpointUnavailable
from inspect_lda.engines.api.wire import speak
from inspect_lda.engines.api.wire.base import Wire
from inspect_lda.engines.api.wire.text import Tokenizer

SHORT = 20
"""A support shorter than this loses much of the mixture."""
NOISY = 0.01
"""Nats; alpha multiplies it."""


async def probe(
    endpoint: Endpoint, dialect: str = "auto", tokenizer: Tokenizer | None = None
) -> Capabilities:
    """Ask an endpoint what it can do.

    Args:
        endpoint: Where to ask.
        dialect: Name of a profile, or `auto` to find out.
        tokenizer: The model's own; only endpoints that take text need one.

    Returns:
        What was seen. Where LDA is not possible `exact` is false, and `problems` says
        why.

    Raises:
        LDAError: If there is no such profile.
        EndpointUnavailable: If nothing answers there.
        EndpointError: If the server refuses the key, or does not serve the model.
    """
    found = await identify(endpoint, dialect)
    able = _promised(endpoint, found)
    text = found.profile.wire == "text"
    if found.profile.wire is None or (text and tokenizer is None):
        hint = "; with the model's tokenizer it can be tried as text" if text else ""
        return _impossible(able, f"{found.profile.refused}{hint}")
    wire = speak(endpoint, able, tokenizer)
    try:
        longest, vocabulary = await limits.longest_list(wire)
    except EndpointUnavailable:
        raise
    except EndpointError as error:
        if error.status in {401, 402, 403}:
            raise
        return _impossible(able, str(error))
    wire.able = able.model_copy(update={"max_top": longest})
    if able.token_ids:
        size = able.vocabulary or vocabulary or await limits.vocabulary(wire)
        wire.able = wire.able.model_copy(update={"vocabulary": size})
    return await _refined(wire)


async def _refined(wire: Wire) -> Capabilities:
    """What else it can do, once it is known to list tokens at all."""
    problems: list[str] = []
    able = wire.able
    k = min(n for n in (SHORT, able.max_top, able.vocabulary) if n is not None)

    def learn(**seen: Any) -> None:
        wire.able = wire.able.model_copy(update=seen)

    learn(noise=await checks.noise(wire, k))
    if wire.profile.many_prompts:
        learn(many_prompts=await checks.many_prompts(wire))
    learn(raw=await checks.raw(wire, k))
    if wire.profile.given is not None:
        learn(scores_ids=wire.profile.most_given or checks.GIVEN)
        learn(scores_ids=await checks.scores_given(wire, k))
        if wire.able.scores_ids:
            learn(mixes=await checks.mixes(wire, k))
        else:
            problems.append(f"`{wire.profile.given}` is not honoured")
    if wire.profile.drafts and wire.profile.truncate is not None:
        learn(drafts=await checks.drafts(wire, k))
    usable, wrong = await checks.prompt_logprobs(wire, k)
    learn(prompt_logprobs=usable)
    problems += [wrong] if wrong else []
    problems += limits_of(wire)
    learn(exact=True, problems=(*able.problems, *problems))
    return wire.able


def limits_of(wire: Wire) -> list[str]:
    """What limits an endpoint that can be used, in words."""
    able = wire.able
    found: list[str] = []
    if not able.raw:
        found.append(
            "log-probabilities change with temperature, bias or truncation: they are "
            "asked at temperature 1 without any, and drafts are scored anew"
        )
    if not able.mixes:
        found.append(
            "it returns broken lists while it is asked for given ids "
            "(vllm-project/vllm#51789): they are asked in turns; let no other process "
            "ask this server for given ids meanwhile"
        )
    if able.max_top is not None and able.max_top < SHORT:
        found.append(
            f"lists hold at most {able.max_top} tokens: too few for any but flat alphas"
        )
    if able.max_top is not None and not able.scores_ids:
        more = f" ({wire.profile.more})" if wire.profile.more else ""
        found.append(
            "neither the whole vocabulary nor given ids can be asked for: as `before` "
            f"it may not list what `after` does{more}"
        )
    if able.noise > NOISY:
        found.append(
            f"answers to one question differ by up to {able.noise:.3g} nats, which "
            "alpha multiplies"
        )
    if not able.token_ids:
        found.append("a rollout whose text would be tokenised anew is an error")
    return found


def verdict(able: Capabilities) -> str:
    """The probe's last line."""
    if not able.exact:
        why = able.problems[0] if able.problems else "no reason is known"
        return f"not possible, because {why}"
    if not able.token_ids:
        return "exact on text without re-tokenisation"
    return "exact"


def _promised(endpoint: Endpoint, found: Identity) -> Capabilities:
    """What may be assumed before anything was asked: as little as possible."""
    notes: tuple[str, ...] = ()
    if not found.profile.tested and found.profile.ran is None:
        notes = (f"the dialect {found.profile.name} is untested: it follows documents",)
    return Capabilities(
        dialect=found.profile.name,
        model=endpoint.model,
        server=found.server,
        max_top=None,
        vocabulary=found.vocabulary,
        context_length=found.context_length,
        token_ids=found.profile.wire not in {None, "text"},
        many_prompts=False,
        mixes=found.profile.given is None,
        drafts=False,
        exact=False,
        problems=notes,
        amplifies=found.amplifies,
    )


def _impossible(able: Capabilities, why: str) -> Capabilities:
    return able.model_copy(update={"problems": (why,)})
