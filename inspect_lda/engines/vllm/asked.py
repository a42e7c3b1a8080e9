"""What a request asks of a pair that draws its tokens; neither torch nor vLLM here."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from inspect_lda.decoding.settings import Sampling
from inspect_lda.engines.vllm.alpha import DRAW_KEY, KEY
from inspect_lda.net_options import NetOptions
from inspect_lda.values import Alpha

Id = Annotated[int, Field(ge=0, lt=2**31)]
Push = Annotated[float, Field(ge=0)]
_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 1e6),
    "top_k": (0, 2**63 - 1),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "seed": (0, 2**63 - 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
_FORM = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _check(sampling: Sampling) -> None:
    for name, (low, high) in _RANGES.items():
        value = getattr(sampling, name)
        if not low <= value <= high:
            raise ValueError(f"{name}={value!r} is not from {low:g} to {high:g}")
    for token, bias in sampling.logit_bias.items():
        if token < 0 or not -100 <= bias <= 100:
            raise ValueError(
                f"logit_bias {token}: {bias!r}: ids are from 0, values from -100 to 100"
            )


class Given(BaseModel):
    """A continuation that is not drawn: its probability is asked (`ScoreRequest`).

    Attributes:
        ids: The continuation.
        alphas: At which its probability is asked.
        temperature: Of these distributions.
        replay: Also measure every token as a rollout under these settings records it.
        curves: Alphas at which whole distributions are compared.
    """

    model_config = _FORM

    ids: tuple[Id, ...] = Field(min_length=1)
    alphas: tuple[Alpha, ...] = ()
    temperature: float = Field(default=1.0, gt=0)
    replay: Sampling | None = None
    curves: tuple[Push, ...] = ()

    @field_validator("replay")
    @classmethod
    def _possible(cls, value: Sampling | None) -> Sampling | None:
        if value is not None:
            _check(value)
        return value


class Draw(BaseModel):
    """How the pair draws the tokens of one request.

    Attributes:
        start: Length of the prompt, without the ids that are given.
        sampling: How a token is drawn.
        support: Draw from this many of the ids most likely under `after`; 0 is all.
        nets: What holds amplification back.
        placebo: Give what amplification adds to other tokens.
        top: Report this many of the most likely ids.
        also: Other alphas at which drawn tokens are measured.
        given: A continuation to score; then nothing is drawn.
    """

    model_config = _FORM

    start: int = Field(ge=1)
    sampling: Sampling = Sampling()
    support: int = Field(default=0, ge=0)
    nets: NetOptions = NetOptions()
    placebo: bool = False
    top: int = Field(default=0, ge=0)
    also: tuple[Alpha, ...] = ()
    given: Given | None = None

    @field_validator("sampling")
    @classmethod
    def _possible(cls, value: Sampling) -> Sampling:
        _check(value)
        if value.frequency_penalty or value.presence_penalty:
            raise ValueError(
                "frequency_penalty and presence_penalty count the text so far, which "
                "a row of logits does not know; leave them out, or use "
                "-M engine=transformers"
            )
        return value

    def extra_args(self, alpha: float) -> dict[str, float | str]:
        """`vllm_xargs` of an HTTP request, `extra_args` of `SamplingParams`."""
        # What is off is not written: JSON has no infinity.
        return {KEY: alpha, DRAW_KEY: self.model_dump_json(exclude_defaults=True)}
