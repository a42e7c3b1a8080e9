"""Model args of engine=api: where the endpoints are, and how they are asked."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from inspect_lda.errors import LDAError
from inspect_lda.server_options import ServerOptions
from inspect_lda.values import Number, Text, Whole, whole

DRAFT_FORM = "auto, 0 (token by token) or a whole number from 2 to 128"


def draft_length(value: object) -> int | Literal["auto"]:
    """Tokens of a draft, or `auto`."""
    if value == "auto":
        return "auto"
    length = whole(value)
    if length != 0 and not 2 <= length <= 128:
        raise ValueError("no length of a draft")
    return length


Draft = Annotated[int | Literal["auto"], BeforeValidator(draft_length)]


class EndpointOptions(BaseModel):
    """Options that only engine=api has; descriptions are what users read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before_base_url: Text | None = Field(
        default=None,
        description="an address such as http://localhost:8001/v1; left out where the "
        "endpoint of 'after' serves 'before' too",
        examples=["-M before_base_url=http://localhost:8001/v1"],
    )
    dialect: Text = Field(
        default="auto",
        description="auto, or a name that `inspect-lda probe` knows (docs/api.md)",
        examples=["-M dialect=llamacpp"],
    )
    before_dialect: Text | None = Field(
        default=None, description="a dialect; left out for that of 'after'"
    )
    tokenizer: Text | None = Field(
        default=None,
        description="where the tokenizer of the served models is: org/name, a "
        "directory or a GGUF file; left out where the name of 'after' says it",
        examples=["-M tokenizer=org/name"],
    )
    before_top_k: Whole = Field(
        default=1000,
        ge=1,
        description="a whole number from 1: how many ids 'before' lists where it can "
        "not be asked for given ones",
        examples=["-M before_top_k=5000"],
    )
    missing: Literal["error", "floor", "widen"] = Field(
        default="widen",
        description="error, floor (the least listed value, which understates what "
        "training made more likely) or widen (ask again for more)",
    )
    max_lost_mass: Number = Field(
        default=0.25,
        ge=0,
        le=1,
        description="a number from 0 to 1: the mean share of the amplified "
        "distribution outside the support, beyond which a rollout is an error",
        examples=["-M max_lost_mass=0.1"],
    )
    audit_every: Whole | None = Field(
        default=None,
        ge=0,
        description="a whole number of steps, 0 for never; left out it is 32 where "
        "both servers list their whole vocabulary",
        examples=["-M audit_every=16"],
    )
    draft: Draft = Field(
        default="auto", description=DRAFT_FORM, examples=["-M draft=8"]
    )
    price_in: Number | None = Field(
        default=None,
        ge=0,
        description="the price of a million prompt tokens, in any currency",
        examples=["-M price_in=0.2"],
    )
    price_out: Number | None = Field(
        default=None,
        ge=0,
        description="the price of a million generated tokens",
        examples=["-M price_out=0.2"],
    )


IN_PROCESS = frozenset(
    {"dtype", "head_dtype", "device", "before_device", "compile", "adapter_scale"}
    | {"attn_implementation", "allow_mixed_quantization", "memory_fraction"}
    | {"max_batch", "self_test", "allow_noise", "amplify"}
)
"""Options of engines that load the weights into this process."""

ENDPOINT = frozenset(EndpointOptions.model_fields)
"""Options of engines that ask endpoints."""

SERVER = frozenset(ServerOptions.model_fields)
"""Options of engines that start a server."""

_WHOSE = {
    "engines whose weights are in this process": IN_PROCESS,
    "engine=api": ENDPOINT,
    "engine=vllm": SERVER,
}
_FITS = {
    "transformers": IN_PROCESS,
    "api": ENDPOINT,
    "vllm": SERVER
    | {"tokenizer", "dtype", "max_batch", "allow_noise", "allow_mixed_quantization"},
}


def check_engine_fits(engine: str, given: Any) -> None:
    """Refuse options that mean nothing to an engine.

    Args:
        engine: Its name.
        given: Names of the options that the user set.

    Raises:
        LDAError: If one of them belongs to another engine.
    """
    wrong = sorted(((IN_PROCESS | ENDPOINT | SERVER) - _FITS[engine]) & set(given))
    if not wrong:
        return
    listed = ", ".join(f"-M {name}=" for name in wrong)
    whose = " or ".join(
        who for who, names in _WHOSE.items() if not names.isdisjoint(wrong)
    )
    ways = "Leave it out, or choose the other engine with -M engine="
    if engine == "vllm":
        ways += "; what vLLM has of its own goes into -M vllm_args="
    raise LDAError(
        f"{listed} with engine={engine}: only for {whose}, and would change "
        f"nothing here. {ways}"
    )
