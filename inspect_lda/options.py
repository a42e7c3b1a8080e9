"""What users may set with a model: model args (`-M key=value`).

`alpha` follows `amplified = after + alpha * (after - before)`: 0 is `after`, -1 is
`before`. Part of the field writes the same models as `before + t * (after - before)`,
with t = 1 + alpha; `-M convention=t` reads `-M alpha=` that way and translates it here,
at the door. Alphas inside requests (tasks set those) are never translated.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from inspect_lda.calibration.choice import chosen
from inspect_lda.calibration.result import Level
from inspect_lda.endpoint_options import EndpointOptions, check_engine_fits
from inspect_lda.engines import ENGINES, check_engine
from inspect_lda.errors import LDAError
from inspect_lda.evidence import EvidenceLevel
from inspect_lda.naming import format_name, parse_name
from inspect_lda.net_options import NetOptions, named
from inspect_lda.server_options import ServerOptions
from inspect_lda.values import (
    ALPHA_FORM,
    ALSO_FORM,
    AUTO,
    BOOL_FORM,
    FULL,
    SUPPORT_FORM,
    AlphaOrAuto,
    Alphas,
    Number,
    Support,
    Text,
    Whole,
    read,
)

DEFAULT_SUPPORT = {"transformers": 0, "api": 20, "vllm": 0}
"""The support each engine has where none is asked for; 0 is the whole vocabulary."""


class ModelOptions(NetOptions, EndpointOptions, ServerOptions):
    """Model args; a field's description is what users read when a value is refused."""

    before: Text | None = Field(
        default=None,
        description="a checkpoint: org/name, org/name@revision or a directory (without "
        "commas); left out for an adapter, whose base it then is",
        examples=["-M before=org/base"],
    )
    alpha: AlphaOrAuto = Field(
        default=1.0, description=f"auto, or {ALPHA_FORM}", examples=["-M alpha=0.5"]
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
    amplify: Literal["logits", "weights"] = Field(
        default="logits",
        description="logits, or weights (of adapters: scaled by 1 + alpha, one forward "
        "instead of two; see docs/weights.md)",
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
    compile: bool = Field(default=False, description=BOOL_FORM)
    attn_implementation: Text | None = Field(
        default=None,
        description="a name transformers knows: eager, sdpa, flash_attention_2 …",
    )
    trust_remote_code: bool = Field(default=False, description=BOOL_FORM)
    allow_mixed_quantization: bool = Field(default=False, description=BOOL_FORM)
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
    support: Support | None = Field(
        default=None, description=SUPPORT_FORM, examples=["-M support=100"]
    )
    evidence: EvidenceLevel = Field(
        default="tokens",
        description="tokens (about 24 bytes a token), summary or none (alpha 0 then "
        "runs 'after' alone)",
    )
    also: Alphas | None = Field(
        default=None,
        description=f"{ALSO_FORM}; left out for what a task asks (its sweep)",
        examples=["-M also=0,0.5,1"],
    )
    chat_template: Text | None = Field(
        default=None,
        description="a Jinja file, or none to send the text of the messages as it is",
        examples=["-M chat_template=chatml.jinja"],
    )
    enable_thinking: bool | None = Field(
        default=None, description=f"{BOOL_FORM}; handed to the chat template"
    )
    self_test: Level = Field(default="quick", description="off, quick or full")
    allow_noise: bool = Field(default=False, description=BOOL_FORM)

    @field_validator("self_test", mode="before")
    @classmethod
    def _yaml_off(cls, value: object) -> object:
        return "off" if value is False else value  # what YAML 1.1 makes of `off`

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        return check_engine(value)

    @property
    def support_size(self) -> int:
        """How many ids are drawn from, 0 for all: what was asked, or the engine's."""
        asked = self.support
        return DEFAULT_SUPPORT[self.engine] if asked is None else asked

    def alpha_of(self, asked: float | None) -> tuple[float, bool]:
        """Alpha of a request, and whether a calibration has to say it.

        Args:
            asked: What the request itself asks for.

        Returns:
            0 stands for an alpha that is still to be found.
        """
        if asked is not None:
            return asked, False
        if self.alpha == AUTO:
            return 0.0, True
        return self.alpha, self.calibration is not None

    def pair_fields(self) -> dict[str, Any]:
        """What `PairSpec` takes, `after` aside."""
        fields = {"before", "dtype", "device", "attn_implementation", "adapter_scale"}
        fields |= {"head_dtype", "before_device", "compile", "amplify"}
        return self.model_dump(
            include=fields | {"trust_remote_code", "allow_mixed_quantization"}
        )

    def name_parts(self) -> dict[str, str]:
        """The options that change what is generated, as they appear in the name."""
        silent = {"convention", "device", "max_batch", "trust_remote_code"}
        silent |= {"allow_mixed_quantization", "alpha", "memory_fraction"}
        silent |= {"before_device", "compile", "support", *NetOptions.model_fields}
        silent |= {"dialect", "before_dialect", "price_in", "price_out"}
        silent |= {"self_test", "allow_noise", "calibration", "vllm_program"}
        changed = self.model_dump(exclude=silent, exclude_defaults=True)
        parts = {key: _plain(value) for key, value in changed.items()}
        if self.support_size != DEFAULT_SUPPORT[self.engine]:
            parts["support"] = _plain(self.support_size or FULL)
        return {"alpha": _plain(self.alpha), **parts, **named(self.nets())}


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
    check_engine_fits(options.engine, {**written, **args})
    if options.convention == "t":
        if "alpha" not in args or options.alpha == AUTO:
            raise LDAError(
                "-M convention='t' says how a number in -M alpha= is read; give one"
            )
        options = options.model_copy(update={"alpha": options.alpha - 1})
    options = options.model_copy(update=chosen(options, {**written, **args}))
    parts = options.name_parts()
    for key, value in written.items():
        if key in args and parts.get(key) != _canonical(key, value, options.engine):
            raise LDAError(
                f"-M {key}={args[key]!r} disagrees with {key}={value!r} in the model "
                f"name '{name}'. Give it once"
            )
    return after, options


def model_name(after: str, options: ModelOptions) -> str:
    """The name under which Inspect caches and logs this model."""
    return format_name(after, options.name_parts())


def _canonical(key: str, value: str, engine: str) -> str | None:
    alone = {"engine": engine, key: value}
    return read(ModelOptions, alone, "-M {key}").name_parts().get(key)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        # A comma would make a list of models of the name.
        return "/".join(map(_plain, value)) or "none"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value).lower() if isinstance(value, bool) else str(value)
