"""Safety nets as users set them: with the model (`-M`), or with a request."""

import re
from dataclasses import fields, replace
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from inspect_lda.decoding.settings import NO_NETS, Nets
from inspect_lda.values import Number, number, whole

OFF = "off"
_PAIR = re.compile(r"(?P<factor>[^@/]+)@(?P<start>[^@/]+)")
Schedule = tuple[tuple[int, float], ...]


def bound(value: object) -> float:
    """A number above 0, or `off`, which is infinity."""
    if value == OFF:
        return float("inf")
    if (result := number(value)) <= 0:
        raise ValueError("nothing could be amplified")
    return result


def tokens(value: object) -> int:
    """A whole number from 1, or `off`, which is 0."""
    if value == OFF:
        return 0
    if (result := whole(value)) < 1:
        raise ValueError("nothing could be amplified")
    return result


def schedule(value: object) -> Schedule:
    """Pairs (position, factor) from a list or from text, or `off`, which is none."""
    if value == OFF:
        return ()
    pairs = _pairs(value)
    read = tuple((whole(start), number(factor)) for start, factor in pairs)
    starts = [start for start, _ in read]
    if not read or starts[0] != 0:
        raise ValueError("the first position has to be 0")
    if any(start >= other for start, other in pairwise(starts)):
        raise ValueError("positions have to ascend")
    if not all(0 <= factor <= 1 for _, factor in read):
        raise ValueError("factors go from 0 to 1: alpha is the most there is")
    return read


def _pairs(value: object) -> list[tuple[Any, Any]]:
    if isinstance(value, str):
        found = [_PAIR.fullmatch(part.strip()) for part in value.split("/")]
        if None in found:
            raise ValueError("not of the form FACTOR@POSITION/FACTOR@POSITION")
        return [(pair["start"], pair["factor"]) for pair in found if pair]
    if not isinstance(value, list | tuple):
        raise ValueError(f"a {type(value).__name__} is no schedule")
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in value):
        raise ValueError("every entry has to be a pair of position and factor")
    return [tuple(pair) for pair in value]


class NetOptions(BaseModel):
    """The nets a model or a request sets; None leaves what was set before."""

    max_kl_per_token: Annotated[float, BeforeValidator(bound)] | None = Field(
        default=None,
        description="off, or the most nats (above 0) a step may move away from the "
        "checkpoint that is amplified",
    )
    soft_threshold: Number | None = Field(
        default=None,
        ge=0,
        description="nats, from 0 (off), by which every difference of "
        "log-probabilities is drawn towards 0",
    )
    kl_gate: Number | None = Field(
        default=None,
        ge=0,
        description="nats, from 0 (off); steps at which the checkpoints differ by at "
        "most this are not amplified",
    )
    plausibility: Number | None = Field(
        default=None,
        ge=0,
        le=1,
        description="from 0 (off) to 1; ids below this share of the checkpoint's most "
        "likely one are not drawn where a step is amplified",
    )
    first_k: Annotated[int, BeforeValidator(tokens)] | None = Field(
        default=None,
        description="off, or a whole number from 1: only so many tokens are amplified",
    )
    alpha_schedule: Annotated[Schedule, BeforeValidator(schedule)] | None = Field(
        default=None,
        description="off, or FACTOR@POSITION/FACTOR@POSITION, in a request also "
        "[[position, factor], ...]: from each token on alpha is taken times the "
        "factor (0 to 1); positions ascend from 0",
    )

    def nets(self, defaults: Nets = NO_NETS) -> Nets:
        """What is set here, and the defaults for all else."""
        told = {field.name: getattr(self, field.name) for field in fields(Nets)}
        return replace(
            defaults, **{key: value for key, value in told.items() if value is not None}
        )


def named(nets: Nets) -> dict[str, str]:
    """The nets that are on, as they are written after `-M`."""
    return {key: _text(value) for key, value in nets.settings().items()}


def _text(value: float | Schedule) -> str:
    if isinstance(value, tuple):
        return "/".join(f"{_text(factor)}@{start}" for start, factor in value)
    return repr(value).removesuffix(".0")
