"""Bytes in the columns of a row of logits, and back; neither torch nor vLLM here.

A row whose token is already drawn says 0 at that token and minus infinity elsewhere, so
any sampler takes it. Columns that stand at -128 or below change nothing of that: their
exponential is 0 in float32, so the log-probabilities of the row are its logits, bit for
bit. Between -256 and -128 lie 2**23 float32 numbers: such a column holds 23 bits. vLLM
returns the log-probabilities that a request asks for, and JSON writes them in full.
"""

import zlib
from collections.abc import Mapping

BITS = 23
"""What a column holds; no more numbers lie between two powers of 2 in float32."""
HIGHEST = -128.0
UNIT = 2.0**-16
MOST_COLUMNS = 128
"""vLLM's own limit of log-probabilities for named ids, and ours for any."""
CHECK = 2
"""Bytes of checksum: the token and the record belong together."""


def columns(size: int) -> list[int]:
    """The ids that carry a record of `size` bytes: one more than it has digits."""
    return list(range(_digits(size) + 1))


def write(record: bytes, token: int) -> dict[int, float]:
    """The logits that carry a record beside a drawn token.

    Args:
        record: What the columns shall hold.
        token: The drawn id; where it is one of the columns, the record stays clear.

    Returns:
        Logit by id, all between -256 and -128.
    """
    checked = record + _check(record, token)
    number = int.from_bytes(checked, "little")
    return {
        place: HIGHEST - UNIT * (number >> (BITS * index) & (1 << BITS) - 1)
        for index, place in enumerate(_places(len(record), token))
    }


def read(size: int, token: int, logprobs: Mapping[int, float]) -> bytes:
    """The record that `write` put beside a token.

    Args:
        size: Its length in bytes.
        token: The token that was returned.
        logprobs: Log-probability by id; others than the columns may be among them.

    Raises:
        ValueError: If a column is missing or holds no digit, or the record is not this
            token's.
    """
    number = 0
    for index, place in enumerate(_places(size, token)):
        value = logprobs.get(place)
        digit = -1.0 if value is None else (HIGHEST - value) / UNIT
        if not 0 <= digit < 1 << BITS or digit != int(digit):
            raise ValueError(f"the log-probability of id {place} is {value}, no digit")
        number |= int(digit) << (BITS * index)
    if number >> 8 * (size + CHECK):
        raise ValueError("the last column holds more than the record")
    checked = number.to_bytes(size + CHECK, "little")
    record = checked[:size]
    if checked[size:] != _check(record, token):
        raise ValueError(f"the checksum is not that of a record of token {token}")
    return record


def _digits(size: int) -> int:
    return -(-8 * (size + CHECK) // BITS)


def _places(size: int, token: int) -> list[int]:
    """One id a digit, the token left out."""
    return [id + (id >= token) for id in range(_digits(size))]


def _check(record: bytes, token: int) -> bytes:
    sum_ = zlib.crc32(record, token & 0xFFFFFFFF)
    return (sum_ & 0xFFFF).to_bytes(CHECK, "little")
