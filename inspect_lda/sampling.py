"""One generate call that samples: requests to the engine, completions to choices."""

import asyncio
from collections.abc import Sequence
from functools import partial

from inspect_ai.model import ChatCompletionChoice, ModelCall, ModelOutput
from inspect_ai.tool import ToolInfo

from inspect_lda.chat.completion import Reader
from inspect_lda.engines.base import Completion, Cost, Request
from inspect_lda.evidence import Evidence
from inspect_lda.record import Call, empty_choice
from inspect_lda.seeds import RepeatWarning

_repeats = RepeatWarning()


async def sample(
    call: Call, tools: Sequence[ToolInfo]
) -> tuple[ModelOutput, ModelCall]:
    """Sample every choice of a call.

    A prompt that fills the context window is an outcome and not an error: an empty
    completion with stop_reason "model_length".
    """
    size, window = len(call.prompt.ids), call.facts.context_length
    if window is not None and size >= window:
        return call.answer(
            [empty_choice(call.model, "model_length")],
            error=f"the prompt has {size} tokens, the context window {window}",
        )
    completions = await _gather(call)
    seed = call.settings.seed
    if seed is not None and call.settings.sampling.temperature > 0:
        _repeats.note(seed, call.model, call.prompt.ids, str(call.settings))
    choices = [_choice(call, completion, tools) for completion in completions]
    told = map(partial(_evidence, call), completions, choices)
    return call.answer(
        choices,
        evidence=[evidence for evidence in told if evidence is not None],
        sampled=sum(len(completion.tokens) for completion in completions),
        cost=_cost(completions),
    )


def _choice(
    call: Call, completion: Completion, tools: Sequence[ToolInfo]
) -> ChatCompletionChoice:
    reader = Reader(call.renderer.tokenizer, call.model)
    message = reader.message(call.prompt, completion, call.settings, tools)
    called = message.tool_calls and completion.stop_reason == "stop"
    return ChatCompletionChoice(
        message=message,
        stop_reason="tool_calls" if called else completion.stop_reason,
        logprobs=reader.logprobs(completion.logprobs),
    )


def _evidence(
    call: Call, completion: Completion, choice: ChatCompletionChoice
) -> Evidence | None:
    """What the engine recorded, and which token wrote what of the text.

    Scorers find a phrase in the text; up to which token that decides them, only the
    tokenizer can say, and nobody who reads a log has one.
    """
    evidence = completion.evidence
    if evidence is None or evidence.per_token is None:
        return evidence
    reader = Reader(call.renderer.tokenizer, call.model)
    lengths = reader.lengths(call.prompt, completion, choice.message.text)
    if lengths is None:
        return evidence
    packed = evidence.per_token.with_lengths(lengths)
    return evidence.model_copy(update={"per_token": packed})


def _cost(completions: Sequence[Completion]) -> Cost | None:
    """What all choices took of endpoints; None where there are none."""
    costs = [completion.cost for completion in completions if completion.cost]
    return sum(costs[1:], costs[0]) if costs else None


async def _gather(call: Call) -> list[Completion]:
    """Sample all choices at once; a failure or a cancelled call ends the others."""
    settings = call.settings
    tasks = [
        asyncio.ensure_future(
            call.engine.generate(
                Request(
                    prompt=call.prompt.ids,
                    alpha=settings.alpha,
                    sampling=settings.sampling_of(choice),
                    max_tokens=settings.max_tokens,
                    stop=settings.stop,
                    top_logprobs=settings.top_logprobs,
                    evidence=settings.evidence,
                    placebo=settings.placebo,
                    support=settings.support,
                    nets=settings.nets,
                    also=settings.also,
                )
            )
        )
        for choice in range(settings.choices)
    ]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
