"""Arrays of numbers, one value a token, as text that a log can hold; no torch here."""

import base64
import sys
from array import array
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

_WIDTHS = {"i": 4, "f": 4, "H": 2}


class PackedTokens(BaseModel):
    """Per-token arrays, little-endian, base64: 24 bytes a token.

    Each other alpha takes 5.3 bytes a token more.

    Attributes:
        n: Number of tokens.
        ids: int32 token ids.
        log_p_after: float32 log-probabilities under `after` (alpha = 0).
        log_p_before: float32 log-probabilities under `before` (alpha = -1).
        log_q: float32 log-probabilities under the distribution sampled from.
        also: The same at other alphas, an array each; `Evidence.also` says which.
        lengths: uint16 numbers of characters that each token added to the completion;
            None where that is not known.
    """

    model_config = ConfigDict(frozen=True)

    encoding: Literal["base64/le32"] = "base64/le32"
    n: int
    ids: str
    log_p_after: str
    log_p_before: str
    log_q: str
    also: tuple[str, ...] = ()
    lengths: str | None = None

    @classmethod
    def pack(
        cls,
        ids: Sequence[int],
        log_p_after: Sequence[float],
        log_p_before: Sequence[float],
        log_q: Sequence[float],
        also: Sequence[Sequence[float]] = (),
    ) -> "PackedTokens":
        """Pack equally long sequences."""
        return cls(
            n=len(ids),
            ids=_encode("i", ids),
            log_p_after=_encode("f", log_p_after),
            log_p_before=_encode("f", log_p_before),
            log_q=_encode("f", log_q),
            also=tuple(_encode("f", values) for values in also),
        )

    def unpack(self) -> dict[str, list[float]]:
        """Return `ids`, `log_p_after`, `log_p_before`, `log_q` as lists of length n.

        Raises:
            ValueError: If an array does not hold `n` values (a damaged log).
        """
        names = ("log_p_after", "log_p_before", "log_q")
        arrays = {name: self._array("f", name, getattr(self, name)) for name in names}
        return {"ids": self._array("i", "ids", self.ids), **arrays}

    def with_lengths(self, lengths: Sequence[int]) -> "PackedTokens":
        """The same arrays, and how many characters each token added."""
        return self.model_copy(update={"lengths": _encode("H", lengths)})

    def unpack_lengths(self) -> list[int] | None:
        """Return how many characters each token added; None where that is not known.

        Raises:
            ValueError: As `unpack` does.
        """
        if self.lengths is None:
            return None
        return self._array("H", "lengths", self.lengths)

    def unpack_also(self) -> list[list[float]]:
        """Return log q at the other alphas, a list of length n each.

        Raises:
            ValueError: As `unpack` does.
        """
        return [self._array("f", f"also {i}", x) for i, x in enumerate(self.also)]

    def _array(self, code: str, name: str, text: str) -> list[Any]:
        values = _decode(code, text)
        if len(values) != self.n:
            raise ValueError(
                f"evidence array '{name}' holds {len(values)} values, expected "
                f"{self.n}: the log is damaged or was edited"
            )
        return values


def _encode(code: str, values: Sequence[float]) -> str:
    packed = array(code, values)
    if packed.itemsize != _WIDTHS[code]:  # pragma: no cover - on no known platform
        raise RuntimeError(f"array('{code}') is not {_WIDTHS[code]} bytes wide here")
    if sys.byteorder == "big":  # pragma: no cover
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode("ascii")


def _decode(code: str, text: str) -> list[Any]:
    packed = array(code)
    packed.frombytes(base64.b64decode(text))
    if sys.byteorder == "big":  # pragma: no cover
        packed.byteswap()
    return packed.tolist()
