"""What a call knows, and what it leaves in the log.

Metadata is for programs (scorers, gates), the model call for people: the log viewer
shows the latter and not the former.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ModelCall,
    ModelOutput,
    ModelUsage,
    StopReason,
)

from inspect_lda.calibration.found import Calibration
from inspect_lda.calibration.result import NoiseRecord
from inspect_lda.chat.render import ChatRenderer, Prompt
from inspect_lda.engines.base import Cost, Engine
from inspect_lda.evidence import Evidence, TargetScore
from inspect_lda.options import ModelOptions
from inspect_lda.settings import Settings

_SCALARS = frozenset(
    [
        "alpha",
        "seed",
        "temperature",
        "precision",
        "n_tokens",
        "log_p_after",
        "log_p_before",
        "log_q",
        "log_p_plain",
        "kl_mean",
        "kl_max",
        "implausible",
        "first_divergence",
    ]
)


@dataclass(frozen=True)
class Facts:
    """The pair as it was loaded.

    Attributes:
        after: Name of `after`, with its revision if known.
        before: Name of `before`, resolved (an adapter's base, say).
        engine: Name of the engine.
        context_length: Tokens the context window holds, if known.
        amplify: What the coefficients of alpha multiply: logits or weights.
    """

    after: str
    before: str | None
    engine: str
    context_length: int | None
    amplify: str = "logits"


async def facts_of(engine: Engine, after: str, options: ModelOptions) -> Facts:
    """Wait until the engine is loaded and read its `pair`.

    An engine that holds no pair in this process (an endpoint, say) has no `pair`; what
    the user wrote is then all there is to know.
    """
    load = getattr(engine, "pair", None)
    pair = None if load is None else await load()
    return Facts(
        after=getattr(pair, "after_name", after),
        before=getattr(pair, "before_name", options.before),
        engine=options.engine,
        context_length=getattr(pair, "context_length", None),
        amplify=options.amplify,
    )


@dataclass(frozen=True)
class Call:
    """One generate call, understood and ready to run.

    Attributes:
        model: Model name for the log.
        engine: Runs it.
        renderer: Rendered it.
        prompt: The rendered conversation.
        settings: How to sample.
        facts: Which pair it runs on.
        noise: What the pair's self-test says of the request's alphas.
        calibration: Where alpha comes from, if it was found.
    """

    model: str
    engine: Engine
    renderer: ChatRenderer
    prompt: Prompt
    settings: Settings
    facts: Facts
    noise: NoiseRecord
    calibration: Calibration | None = None

    def answer(
        self,
        choices: list[ChatCompletionChoice],
        *,
        evidence: Sequence[Evidence] = (),
        score: TargetScore | None = None,
        sampled: int = 0,
        cost: Cost | None = None,
        error: str | None = None,
    ) -> tuple[ModelOutput, ModelCall]:
        """The output of this call and its record; `sampled` counts real tokens."""
        size = len(self.prompt.ids) + (len(score.ids) if score else 0)
        metadata = self._metadata(evidence, score)
        if cost is not None:
            metadata["cost"] = asdict(cost)
        output = ModelOutput(
            model=self.model,
            choices=choices,
            usage=ModelUsage(
                input_tokens=size, output_tokens=sampled, total_tokens=size + sampled
            ),
            metadata={"lda": metadata},
            error=error,
        )
        return output, ModelCall.create(self._request(), _response(output, metadata))

    def _metadata(
        self, evidence: Sequence[Evidence], score: TargetScore | None
    ) -> dict[str, Any]:
        """Both coefficients are told, so that nobody has to guess the convention."""
        alpha = self.settings.alpha
        metadata: dict[str, Any] = {
            "alpha": alpha,
            "coefficients": {"after": 1.0 + alpha, "before": 0.0 - alpha},
            "after": self.facts.after,
            "before": self.facts.before,
            "engine": self.facts.engine,
            "noise": self.noise.model_dump(mode="json"),
            "amplify": self.facts.amplify,
            "evidence": [item.model_dump(mode="json") for item in evidence],
        }
        if self.calibration is not None:
            metadata["calibration"] = self.calibration.brief
        if score is not None:
            metadata["score"] = score.model_dump(mode="json")
        return metadata

    def _request(self) -> dict[str, Any]:
        sampling = vars(self.settings.sampling)
        return {
            "prompt_tokens": len(self.prompt.ids),
            "prompt": self.prompt.text,
            "alpha": self.settings.alpha,
            "placebo": self.settings.placebo,
            "support": self.settings.support or "full",
            "nets": self.settings.nets.settings(),
            "max_tokens": self.settings.max_tokens,
            "stop": list(self.settings.stop),
            **{key: sampling[key] for key in sampling if key != "seed"},
            "seed": self.settings.seed,
        }


def empty_choice(model: str, stop_reason: StopReason) -> ChatCompletionChoice:
    """A choice without text."""
    message = ChatMessageAssistant(content="", model=model, source="generate")
    return ChatCompletionChoice(message=message, stop_reason=stop_reason)


def _response(output: ModelOutput, metadata: dict[str, Any]) -> dict[str, Any]:
    evidence = metadata["evidence"] or [{}] * len(output.choices)
    response: dict[str, Any] = {
        "coefficients": metadata["coefficients"],
        "noise": metadata["noise"],
        "choices": [
            {
                "text": choice.message.text,
                "stop_reason": choice.stop_reason,
                **{key: item[key] for key in item if key in _SCALARS},
            }
            for choice, item in zip(output.choices, evidence, strict=True)
        ],
    }
    for name in ("score", "cost"):
        if name in metadata:
            response[name] = metadata[name]
    return response
