"""What users may set: model args (`-M key=value`) and `extra_body["lda"]` of a request.

`alpha` follows `amplified = after + alpha * (after - before)`: 0 is `after`, -1 is
`before`. Part of the field writes the same models as `before + t * (after - before)`,
with t = 1 + alpha; `-M convention=t` reads `-M alpha=` that way and translates it here,
at the door. Alphas inside requests (tasks set those) are never translated.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from inspect_lda.calibration.choice import chosen
from inspect_lda.chat import RenderForm
from inspect_lda.engines import ENGINES, check_engine
from inspect_lda.errors import LDAError
from inspect_lda.evidence import EvidenceLevel
from inspect_lda.naming import format_name, parse_name
from inspect_lda.values import AUTO, Alpha, AlphaOrAuto, Number, Text, Whole, read

_BOOL = "true or false"
_ALPHA = (
    "one number from -1000 to 1000 (0 is 'after', -1 is 'before'); for a sweep use a "
    "task's -T alphas=0,1 or one --model-spec per alpha"
)


class ModelOptions(BaseModel):
    """Model args; a field's description is what users read when a value is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: Text | None = Field(
        default=None,
        description="a checkpoint: org/name, org/name@revision or a directory (without "
        "commas); left out for an adapter, whose base it then is",
        examples=["-M before=org/base"],
    )
    alpha: AlphaOrAuto = Field(
        default=1.0, description=f"auto, or {_ALPHA}", examples=["-M alpha=0.5"]
    )
    kl_budget: Number | None = Field(
        default=None, gt=0, description="a number above 0 (nats), with alpha=auto"
    )
    calibration: Text | None = Field(
        default=None, description="a file that `inspect-lda alpha --out` wrote"
    )
    convention: Literal["alpha", "t"] = Field(
        default="alpha", description="alpha, or t (t = 1 + alpha, so t = 1 is 'after')"
    )
    engine: str = Field(default="transformers", description=" or ".join(ENGINES))
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto", description="auto, float32, float16 or bfloat16"
    )
    head_dtype: Literal["auto", "float32"] = Field(
        default="auto", description="auto (that of the body) or float32"
    )
    device: Text = Field(
        default="auto",
        description="auto, cpu, cuda, cuda:1, mps or balanced",
        examples=["-M device=cpu"],
    )
    before_device: Text | None = Field(
        default=None,
        description="a device like device=; left out for that of 'after'",
        examples=["-M before_device=cuda:0"],
    )
    compile: bool = Field(default=False, description=_BOOL)
    attn_implementation: Text | None = Field(
        default=None,
        description="a name transformers knows: eager, sdpa, flash_attention_2 …",
    )
    trust_remote_code: bool = Field(default=False, description=_BOOL)
    allow_mixed_quantization: bool = Field(default=False, description=_BOOL)
    adapter_scale: Number = Field(
        default=1.0, description="a finite number", examples=["-M adapter_scale=1"]
    )
    max_batch: Whole = Field(
        default=32,
        ge=1,
        description="a whole number from 1",
        examples=["-M max_batch=16"],
    )
    memory_fraction: Number = Field(
        default=0.5,
        gt=0,
        le=1,
        description="a number above 0, at most 1: the share of the memory left after "
        "loading that caches may take",
        examples=["-M memory_fraction=0.8"],
    )
    evidence: EvidenceLevel = Field(
        default="tokens",
        description="tokens (about 22 bytes a token), summary or none (alpha 0 then "
        "runs 'after' alone)",
    )
    chat_template: Text | None = Field(
        default=None,
        description="a Jinja file, or none to send the text of the messages as it is",
        examples=["-M chat_template=chatml.jinja"],
    )
    enable_thinking: bool | None = Field(
        default=None, description=f"{_BOOL}; handed to the chat template"
    )

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        return check_engine(value)

    def pair_fields(self) -> dict[str, Any]:
        """What `PairSpec` takes, `after` aside."""
        fields = {"before", "dtype", "device", "attn_implementation", "adapter_scale"}
        fields |= {"head_dtype", "before_device", "compile"}
        return self.model_dump(
            include=fields | {"trust_remote_code", "allow_mixed_quantization"}
        )

    def name_parts(self) -> dict[str, str]:
        """The options that change what is generated, as they appear in the name."""
        silent = {"convention", "device", "max_batch", "trust_remote_code"}
        silent |= {"allow_mixed_quantization", "alpha", "memory_fraction"}
        silent |= {"before_device", "compile", "calibration"}
        changed = self.model_dump(exclude=silent, exclude_defaults=True)
        parts = {key: _plain(value) for key, value in changed.items()}
        return {"alpha": _plain(self.alpha), **parts}


class ScoreOptions(BaseModel):
    """`extra_body["lda"]["score"]`: teacher-force a string instead of sampling."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(min_length=1, description="a non-empty string")
    alphas: tuple[Alpha, ...] | None = Field(
        default=None, min_length=1, description="a list of numbers from -1000 to 1000"
    )


class RequestOptions(BaseModel):
    """`extra_body["lda"]`: per request, and part of Inspect's cache key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: Alpha | None = Field(default=None, description=_ALPHA)
    min_p: Number = Field(
        default=0.0, ge=0, lt=1, description="a number from 0 to below 1"
    )
    evidence: EvidenceLevel | None = Field(
        default=None, description="tokens, summary or none"
    )
    render: RenderForm | None = Field(
        default=None,
        description="chat (the template), none (the text of the messages as it is) or "
        "user (the template up to the last user turn, whose beginning the text is)",
    )
    placebo: bool = Field(
        default=False,
        description=f"{_BOOL}; true gives what amplification adds to other tokens",
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


def read_model(name: str, args: Mapping[str, Any]) -> tuple[str, ModelOptions]:
    """Read what stands after `lda/` and the model args.

    Args:
        name: `after`, possibly with options in it (a name from a log, see `naming`).
        args: Model args as Inspect parsed them.

    Raises:
        LDAError: On unknown keys, bad values, or a name and args that disagree.
    """
    after, written = parse_name(name)
    options = read(ModelOptions, {**written, **args}, "-M {key}")
    if options.convention == "t":
        if "alpha" not in args or options.alpha == AUTO:
            raise LDAError(
                "-M convention='t' says how a number in -M alpha= is read; give one"
            )
        options = options.model_copy(update={"alpha": options.alpha - 1})
    options = options.model_copy(update=chosen(options, {**written, **args}))
    parts = options.name_parts()
    for key, value in written.items():
        if key in args and parts.get(key) != _canonical(key, value):
            raise LDAError(
                f"-M {key}={args[key]!r} disagrees with {key}={value!r} in the model "
                f"name '{name}'. Give it once"
            )
    return after, options


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


def model_name(after: str, options: ModelOptions) -> str:
    """The name under which Inspect caches and logs this model."""
    return format_name(after, options.name_parts())


def _canonical(key: str, value: str) -> str | None:
    return read(ModelOptions, {key: value}, "-M {key}").name_parts().get(key)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value).lower() if isinstance(value, bool) else str(value)
