"""Which token wrote which part of a text: how many characters each one added."""

from collections.abc import Callable, Sequence

Decode = Callable[[list[int]], str]

WINDOW = 6
"""Tokens that are decoded together where one alone is not what it is in its place: a
character takes up to four, and the tokens around it decide about spaces."""
LONGEST = 2**16 - 1


def added_lengths(
    tokens: Sequence[int], text: str, decode: Decode
) -> tuple[int, ...] | None:
    """How many characters of a text each token added.

    A part of a character adds nothing, its last part all of it. A text that was cut
    short ends inside some token; those behind it add nothing.

    Args:
        tokens: What was drawn.
        text: What a reader sees, or the beginning of it.
        decode: Tokens to text.

    Returns:
        None if the tokens do not write this text: parts of it were moved or dropped.
    """
    if not (tokens or text):
        return ()
    ends = _alone(tokens, text, decode) or _in_place(tokens, text, decode)
    if ends is None:
        return None
    cut = [min(end, len(text)) for end in ends]
    lengths = tuple(b - a for a, b in zip([0, *cut], cut, strict=False))
    return lengths if max(lengths, default=0) <= LONGEST else None


def _alone(tokens: Sequence[int], text: str, decode: Decode) -> list[int] | None:
    """Where each token ends, if every one writes alone what it writes in its place."""
    pieces = {token: decode([token]) for token in set(tokens)}
    written, ends = "", []
    for token in tokens:
        written += pieces[token]
        ends.append(len(written))
    fits = written.startswith(text) and "\ufffd" not in written
    return ends if fits else None


def _in_place(tokens: Sequence[int], text: str, decode: Decode) -> list[int] | None:
    """The same by decoding each token behind those before it."""
    written, ends, done = "", [], 0
    for index in range(len(tokens)):
        start = max(0, done - WINDOW)
        known = decode(list(tokens[start:done]))
        more = decode(list(tokens[start : index + 1]))
        whole = not more.endswith("\ufffd") or index == len(tokens) - 1
        if more.startswith(known) and whole:
            written += more[len(known) :]
            done = index + 1
        ends.append(len(written))
    return ends if written.startswith(text) else None
