"""Text that repeats itself and cannot stop.

People repeat too: a refrain, a table, a chant. What sets a loop apart is a unit that
comes many times in a row with nothing in between, most of all if it goes on to the end
of the text, where a writer would have closed. Digits count as equal, since a loop may
number its laps; rows of a table of numbers do not.
"""

import re
from collections import Counter
from dataclasses import dataclass

WORD_LAPS = 6
"""Laps of one or two words ("no, no, no, no" is still a person)."""

PHRASE_LAPS = 4
"""Laps of three words or more."""

LONG_LAPS = 3
"""Laps of `LONG_UNIT` words or more, if the text breaks off within the next one."""

LONG_UNIT = 4

INSIDE = 2
"""Times as many laps are asked of a loop that the text gets out of again."""

MARKS = 20
"""Equal punctuation marks in a row, at the end of the text."""

LONGEST_UNIT = 60
"""Words of the longest unit looked for."""

STALE_SHARE = 0.6
STALE_WORDS = 40
"""A text of at least this many words, of whose 3-grams so many occurred before."""

_TOKEN = re.compile(r"\w+(?:'\w+)?|[^\w\s]+")
_TABLE = re.compile(r"^\s*(?:\||[+-]{3,}|[\d.,%;:()\[\]{}=*/+\- \t]+$)")
_RUN = re.compile(r"(.{1,12}?)\1{11,}", re.DOTALL)
_MARKS = re.compile(rf"([^\w\s=_*~|+#-])\1{{{MARKS - 1},}}\s*\Z")


@dataclass(frozen=True)
class Loop:
    """A unit that follows itself so many times."""

    unit: str
    repeats: int


def longest_loop(text: str) -> Loop | None:
    """The loop with the most laps, if the text holds one."""
    lines = [line for line in text.splitlines() if not _TABLE.match(line)]
    tokens = _TOKEN.findall("\n".join(lines).casefold())
    words = [re.sub(r"\d+", "0", token) for token in tokens if token[0].isalnum()]
    loops = [_laps(words, size) for size in range(1, LONGEST_UNIT + 1)]
    found = [loop for loop in loops if loop is not None]
    return max(found, key=lambda loop: loop.repeats, default=None) or _run(text)


def stale(text: str) -> bool:
    """Whether a long text says little that it has not said, in whatever order."""
    lines = [line for line in text.splitlines() if not _TABLE.match(line)]
    words = [word.casefold() for line in lines for word in line.split()]
    if len(words) < STALE_WORDS:
        return False
    grams = Counter(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(grams) / grams.total() >= STALE_SHARE


def _laps(words: list[str], size: int) -> Loop | None:
    """The longest run of a unit of `size` words, if it is long enough to be a loop."""
    best = (0, 0)  # equal words at distance `size`, and where the run of them ends
    run = 0
    for index in range(size, len(words)):
        run = run + 1 if words[index] == words[index - size] else 0
        best = max(best, (run, index + 1))
    length, end = best
    repeats = length // size + 1
    needed = WORD_LAPS if size <= 2 else PHRASE_LAPS
    if end < len(words):
        needed *= INSIDE
    elif size >= LONG_UNIT and length % size:
        needed = LONG_LAPS
    if repeats < needed:
        return None
    start = end - length - size
    return Loop(" ".join(words[start : start + size]), repeats)


def _run(text: str) -> Loop | None:
    """Characters that repeat without blanks: "hahaha…", or a script without spaces."""
    if marks := _MARKS.search(text):
        return Loop(marks[1], len(marks[0].strip()))
    for found in _RUN.finditer(text):
        unit = found[1]
        if any(c.isalpha() for c in unit) and found.end() - found.start() >= 20:
            return Loop(unit, (found.end() - found.start()) // len(unit))
    return None
