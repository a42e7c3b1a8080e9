"""What users may set with a request: `extra_body["lda"]`, in Inspect's cache key."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from inspect_lda.chat import RenderForm
from inspect_lda.errors import LDAError
from inspect_lda.evidence import EvidenceLevel
from inspect_lda.net_options import NetOptions
from inspect_lda.values import (
    ALPHA_FORM,
    ALSO_FORM,
    BOOL_FORM,
    SUPPORT_FORM,
    Alpha,
    Alphas,
    Number,
    Support,
    read,
)


class ScoreOptions(BaseModel):
    """`extra_body["lda"]["score"]`: teacher-force a string instead of sampling."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(min_length=1, description="a non-empty string")
    alphas: tuple[Alpha, ...] | None = Field(
        default=None, min_length=1, description="a list of numbers from -1000 to 1000"
    )


class RequestOptions(NetOptions):
    """`extra_body["lda"]`: per request, and part of Inspect's cache key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: Alpha | None = Field(default=None, description=ALPHA_FORM)
    min_p: Number = Field(
        default=0.0, ge=0, lt=1, description="a number from 0 to below 1"
    )
    support: Support | None = Field(default=None, description=SUPPORT_FORM)
    evidence: EvidenceLevel | None = Field(
        default=None, description="tokens, summary or none"
    )
    render: RenderForm | None = Field(
        default=None,
        description="chat (the template), none (the text of the messages as it is) or "
        "user (the template up to the last user turn, whose beginning the text is)",
    )
    also: Alphas | None = Field(default=None, description=ALSO_FORM)
    placebo: bool = Field(
        default=False,
        description=f"{BOOL_FORM}; true gives what amplification adds to other tokens",
    )
    score: dict[str, Any] | None = Field(
        default=None, description='a mapping {"target": text, "alphas": [numbers]}'
    )

    def scoring(self) -> ScoreOptions | None:
        """The validated score request, if this is one.

        Raises:
            LDAError: If it is not valid, or is to be scored under a placebo.
        """
        if self.score is None:
            return None
        if self.placebo:
            raise LDAError(
                'extra_body["lda"]["score"] with "placebo": true: a placebo is drawn '
                "anew for every rollout, so no string has one probability. Leave one "
                "of them out"
            )
        return read(ScoreOptions, self.score, 'extra_body["lda"]["score"]["{key}"]')

    def measured_at(
        self, model: tuple[float, ...] | None, temperature: float
    ) -> tuple[float, ...]:
        """At which other alphas every drawn token is measured.

        Args:
            model: What the model says, which counts where it says something.
            temperature: Of the request.

        Raises:
            LDAError: If such a rollout has no probability at another alpha.
        """
        also = (self.also or ()) if model is None else model
        if not also or self.score is not None:
            return ()
        if self.placebo or temperature == 0:
            clash = "a placebo" if self.placebo else "temperature=0"
            raise LDAError(
                f"also={list(also)} with {clash}: such a rollout has no probability "
                "at another alpha. Leave one of them out (-M also=none)"
            )
        return also


def read_request(extra_body: Mapping[str, Any] | None) -> RequestOptions:
    """Read `GenerateConfig.extra_body`.

    Raises:
        LDAError: On unknown keys or bad values.
    """
    body = dict(extra_body or {})
    options = body.pop("lda", {})
    if body:
        raise LDAError(
            f"extra_body key(s) {', '.join(map(repr, sorted(body)))}: only 'lda' is "
            'read, e.g. extra_body={"lda": {"alpha": 0.5}}'
        )
    if not isinstance(options, Mapping):
        raise LDAError(
            f'extra_body["lda"]={options!r}: a mapping is needed, '
            'e.g. extra_body={"lda": {"alpha": 0.5}}'
        )
    return read(RequestOptions, options, 'extra_body["lda"]["{key}"]')
