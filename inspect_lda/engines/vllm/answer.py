"""What a pair says of one token, and as which bytes; neither torch nor vLLM here."""

import math
import struct
from collections.abc import Sequence
from typing import NamedTuple

from inspect_lda.decoding.recorded import StepEvidence
from inspect_lda.engines.vllm.asked import Draw

FIELDS = StepEvidence._fields
_OF_SUPPORT = ("tail", "lost")
_OF_NETS = ("acted", "dropped")
_CURVES = 3
"""Values of `TokenCurves` at one alpha."""
_TOP = struct.Struct("<3sfff")
"""Ids in 24 bits: with the 32nd, 20 of the most likely ids would not fit in a row."""

Top = tuple[int, float, float, float]


class Drawn(NamedTuple):
    """What a pair says of one token.

    Attributes:
        token: Its id.
        values: A `StepEvidence`; `log_q` is NaN where no token was possible. Empty for
            a given token, unless it was replayed.
        top: (id, log q, log p_after, log p_before), most likely first.
        also: Its log q at the other alphas.
        log_q: Log-probability of a given token at the alphas asked.
        ends: The same under `after` and under `before`; empty for a drawn token.
        curves: (kl, surprise, implausible) at every alpha asked.
    """

    token: int
    values: tuple[float, ...] = ()
    top: tuple[Top, ...] = ()
    also: tuple[float, ...] = ()
    log_q: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    curves: tuple[tuple[float, ...], ...] = ()


def impossible(draw: Draw, token: int) -> Drawn:
    """Of a row that has no answer: NaN for all of it."""
    nan = math.nan
    blank = Drawn(token, top=((0, nan, nan, nan),) * draw.top)
    return _filled(draw, blank, [nan] * _floats(draw))


def size(draw: Draw) -> int:
    """Bytes of an answer."""
    return 1 + 4 * _floats(draw) + _TOP.size * draw.top


def pack(draw: Draw, drawn: Drawn, reason: int) -> bytes:
    """An answer as bytes; `reason` is 0, or why the pair refused."""
    by_name = dict(zip(FIELDS, drawn.values, strict=False))
    floats = [by_name[name] for name in _fields(draw)]
    floats += [*drawn.also, *drawn.log_q, *drawn.ends]
    floats += [value for one in drawn.curves for value in one]
    head = struct.pack(f"<B{len(floats)}f", reason, *floats)
    return head + b"".join(
        _TOP.pack(id.to_bytes(3, "little"), *logs) for id, *logs in drawn.top
    )


def unpack(draw: Draw, token: int, answer: bytes) -> tuple[Drawn, int]:
    """The inverse of `pack`."""
    count = _floats(draw)
    reason, *floats = struct.unpack_from(f"<B{count}f", answer)
    top: tuple[Top, ...] = tuple(
        (int.from_bytes(id, "little"), *logs)
        for id, *logs in _TOP.iter_unpack(answer[1 + 4 * count :])
    )
    return _filled(draw, Drawn(token, top=top), floats), reason


def _filled(draw: Draw, drawn: Drawn, floats: Sequence[float]) -> Drawn:
    rest = list(floats)

    def taken(count: int) -> tuple[float, ...]:
        part, rest[:count] = tuple(rest[:count]), []
        return part

    names = _fields(draw)
    by_name = dict(zip(names, taken(len(names)), strict=True))
    values = tuple(by_name.get(name, 0.0) for name in FIELDS) if names else ()
    drawn = drawn._replace(values=values, also=taken(len(draw.also)))
    given = draw.given
    if given is None:
        return drawn
    return drawn._replace(
        log_q=taken(len(given.alphas)),
        ends=taken(2),
        curves=tuple(taken(_CURVES) for _ in given.curves),
    )


def _fields(draw: Draw) -> list[str]:
    """The fields of `StepEvidence` that travel; the others are 0."""
    if draw.given is not None and draw.given.replay is None:
        return []
    absent: tuple[str, ...] = ()
    if not draw.support or draw.given is not None:
        absent += _OF_SUPPORT
    if draw.given is not None or not draw.nets.nets().settings():
        absent += _OF_NETS
    return [name for name in FIELDS if name not in absent]


def _floats(draw: Draw) -> int:
    count = len(_fields(draw)) + len(draw.also)
    if draw.given is not None:
        count += len(draw.given.alphas) + 2 + _CURVES * len(draw.given.curves)
    return count
