"""Letters of unrelated scripts, at random.

Several scripts in one text are common: loan words, Japanese, formulas, lessons. There,
scripts change between words, and an example in another script is set off by a quotation
mark, a bracket, a colon or a new line. Random mixtures change within words, and between
bare words.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

MIXED_WORDS = 2
"""Words with two letters or more of each of two scripts."""

GROUPS = 3
"""Unrelated scripts in one text…"""

SWITCHES = 2
"""…and changes between bare words."""

SPRINKLED = 3
"""Bare words of one other script in a text of Latin ones, each between Latin words. The
reverse is common: product names and technical terms in a text of another script."""

_EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"}
_GLUED = {"EAST ASIAN", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"}
"""Written without blanks, or with endings glued to foreign words."""

Piece = tuple[str, int, int]
"""Group, start and end of letters of one script."""

_RUN = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Mixture:
    """What gave it away, and where."""

    rule: str
    quote: str


def mixture(text: str) -> Mixture | None:
    """The mixture of scripts in a text that nobody can have meant, if there is one."""
    words = [(m[0], m.start(), m.end()) for m in _RUN.finditer(text)]
    torn = [word for word, _, _ in words if _torn(word)]
    if len(torn) >= MIXED_WORDS:
        return Mixture("within-words", " ".join(torn[:3]))
    pieces = [piece for word, start, _ in words for piece in _pieces(word, start)]
    groups = Counter(group for group, _, _ in pieces)
    if groups["LATIN"] > 0.5 * groups.total():
        foreign = _sprinkled(text, pieces)
        if len(foreign) >= SPRINKLED:
            return Mixture("sprinkled", " … ".join(foreign[:3]))
    if len(groups) < GROUPS:
        return None
    switches = [
        text[first[1] : second[2]]
        for first, second in pairwise(pieces)
        if first[0] != second[0] and _bare(text[first[2] : second[1]])
    ]
    if len(switches) >= SWITCHES:
        return Mixture("between-words", " … ".join(switches[:3]))
    return None


def _sprinkled(text: str, pieces: list[Piece]) -> list[str]:
    """Words of another script with nothing but blanks to Latin words on both sides."""
    return [
        text[start:end]
        for (left, _, open_), (group, start, end), (right, close, _) in zip(
            pieces, pieces[1:], pieces[2:], strict=False
        )
        if left == right == "LATIN" != group
        and _bare(text[open_:start])
        and _bare(text[end:close])
    ]


@lru_cache(maxsize=4096)
def script(char: str) -> str:
    """The script of a letter, East Asian ones as one; "" for marks and symbols."""
    if not char.isalpha():
        return ""
    name = unicodedata.name(char, "").replace("FULLWIDTH ", "").partition(" ")[0]
    if name in {"MICRO", "FEMININE", "MASCULINE", "MODIFIER", "MATHEMATICAL"}:
        return ""
    return "EAST ASIAN" if name.split("-")[0] in _EAST_ASIAN else name


def _torn(word: str) -> bool:
    """Whether one word has two letters or more of each of two scripts."""
    counts: dict[str, int] = {}
    for char in word:
        group = script(char)
        if group and group not in _GLUED:
            counts[group] = counts.get(group, 0) + 1
    return sum(count >= 2 for count in counts.values()) >= 2


def _pieces(word: str, start: int) -> list[Piece]:
    """Runs of one script in a word, single letters apart: group, start, end."""
    runs: list[Piece] = []
    for index, char in enumerate(word, start):
        group = script(char)
        if not group:
            continue
        if runs and runs[-1][0] == group:
            runs[-1] = (group, runs[-1][1], index + 1)
        else:
            runs.append((group, index, index + 1))
    # A single letter is a symbol: the mean μ, the set ℵ, the angle φ.
    alone = {"GREEK", "HEBREW", "CYRILLIC", "LATIN"}
    return [run for run in runs if run[2] - run[1] > 1 or run[0] not in alone]


def _bare(gap: str) -> bool:
    """Whether nothing but blanks stands between two words."""
    return gap.strip(" \t") == ""
