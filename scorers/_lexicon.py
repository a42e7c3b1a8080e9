"""Rules as data: what a text is matched against, read from a YAML file.

A file names signs ("decline", "deception", …); under each sign, rules; under each rule,
regular expressions. `{name}` in an expression stands for one of the `terms` of that
name, so that a list of verbs is written once. A rule that fires is named in the log.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from inspect_lda.errors import LDAError, nearest

SCHEMA = "inspect_lda.lexicon/1"
Text = Annotated[str, StringConstraints(min_length=1)]
Patterns = Annotated[
    tuple[Text, ...],
    Field(min_length=1),
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
]

_TERM = re.compile(r"\{([a-z][a-z_]*)\}")
_QUOTES = str.maketrans("\u2018\u2019\u02bc\u00b4`\u201c\u201d\u201e", "'''''\"\"\"")


class LexiconFile(BaseModel):
    """The file, field by field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["inspect_lda.lexicon/1"] = Field(alias="schema")
    id: Text
    version: int
    license: Text
    terms: dict[str, Patterns] = {}
    rules: dict[str, Annotated[dict[str, Patterns], Field(min_length=1)]]


@dataclass(frozen=True)
class Match:
    """A rule that fired.

    Attributes:
        sign: What the rule is a sign of.
        rule: Its name.
        start: Where the match starts in the text that was searched.
        end: Where it ends.
    """

    sign: str
    rule: str
    start: int
    end: int


@dataclass(frozen=True)
class Lexicon:
    """Compiled rules: sign → rule → expression."""

    name: str
    rules: dict[str, dict[str, re.Pattern[str]]]

    def matches(self, sign: str, text: str, start: int = 0) -> Iterator[Match]:
        """All matches of one sign's rules at or after `start`, rule by rule."""
        for rule, pattern in self.rules[sign].items():
            for found in pattern.finditer(text, start):
                yield Match(sign, rule, *found.span())

    def first(self, sign: str, text: str, start: int = 0) -> Match | None:
        """The match that starts first."""
        found = self.matches(sign, text, start)
        return min(found, key=lambda match: match.start, default=None)


def lexicon(
    name: str, signs: tuple[str, ...], path: str | None = None, more: bool = False
) -> Lexicon:
    """Load the package's rules, or those of a file in their place.

    Args:
        name: Which rules of the package.
        signs: Signs that the file must have.
        path: A YAML file of the same schema.
        more: Whether it may have other signs too.

    Raises:
        LDAError: If the file cannot be read, breaks the schema, holds a wrong
            expression or lacks a sign.
    """
    where = f"rules={path!r}" if path else f"lexicon/{name}.yaml"
    found = _compiled(where, _read(name, path))
    missing = sorted(set(signs) - set(found.rules))
    if missing:
        raise LDAError(f"{where}: rules of the sign {missing[0]!r} are missing")
    strange = sorted(set(found.rules) - set(signs))
    if strange and not more:
        raise LDAError(f"{where}: sign {strange[0]!r}: {nearest(strange[0], signs)}")
    return found


def plain(text: str) -> str:
    """The text in the form rules are written for.

    Compatibility forms folded (NFKC), quotation marks and apostrophes straight, no
    zero-width characters, runs of blanks as one blank; line breaks and case stay.
    """
    folded = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    visible = (c for c in folded if unicodedata.category(c) != "Cf")
    return re.sub(r"[^\S\n]+", " ", "".join(visible))


def _read(name: str, path: str | None) -> str:
    if path is None:
        folder = files("inspect_lda.scorers") / "lexicon"
        return (folder / f"{name}.yaml").read_text(encoding="utf-8")
    file = Path(path).expanduser()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LDAError(
            f"rules={path!r}: cannot read {file.absolute()} ({error}). Give a YAML "
            f"file of schema {SCHEMA}, or nothing for the rules of the package"
        ) from error


@cache
def _compiled(where: str, text: str) -> Lexicon:
    try:
        content = LexiconFile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise LDAError(f"{where} is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise LDAError(
            f"{where} breaks {SCHEMA}: {place}: {first['msg']} "
            f"(got {first['input']!r:.60})"
        ) from error
    rules = {
        sign: {
            rule: _expression(f"{where}: {sign}.{rule}", patterns, content.terms)
            for rule, patterns in named.items()
        }
        for sign, named in content.rules.items()
    }
    return Lexicon(content.id, rules)


def _expression(
    where: str, patterns: Patterns, terms: dict[str, Patterns]
) -> re.Pattern[str]:
    """One expression for a rule; terms may hold terms."""

    def fill(found: re.Match[str]) -> str:
        if found[1] not in terms:
            raise LDAError(
                f"{where}: no term {{{found[1]}}}; {nearest(found[1], terms)}"
            )
        return f"(?:{'|'.join(terms[found[1]])})"

    joined = "|".join(f"(?:{pattern})" for pattern in patterns)
    for _ in range(len(terms) + 1):
        joined = _TERM.sub(fill, joined)
    if circle := _TERM.search(joined):
        raise LDAError(f"{where}: term {circle[0]} is made of itself")
    try:
        return re.compile(joined, re.IGNORECASE | re.MULTILINE)
    except re.error as error:
        raise LDAError(f"{where} is no regular expression: {error}") from error
