"""The answers that a grader may give, and the number that each stands for.

A grader's tokenizer may cut an answer ("85" into "8" and "5"), so a beginning of a
reply is not only an answer or none: it may be open, and then `Prefix.could_be` says
which answers it may still become.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

QUOTES = "\"'\u2018\u2019\u201c\u201d"
MARKUP = f" \t\r\n*_`#>([{{${QUOTES}"
"""What may stand before an answer without being part of it."""

_WORD = re.compile(r"[A-Za-z0-9]*")


@dataclass(frozen=True)
class Prefix:
    """What the beginning of a reply says.

    Attributes:
        answer: The answer, once nothing that follows can change it.
        could_be: Otherwise the answers that it may still become; none if it is
            something else than an answer.
    """

    answer: str | None = None
    could_be: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scale:
    """A closed set of answers.

    Attributes:
        values: Each answer as it should be written, and the number that it stands for.
        fold: Whether case does not matter ("yes" is "YES").
    """

    values: Mapping[str, float]
    fold: bool = False

    def find(self, word: str) -> str | None:
        """The answer that is written like this, if there is one."""
        word = word.upper() if self.fold else word
        return word if word in self.values else None

    def extensions(self, word: str) -> tuple[str, ...]:
        """The longer answers that begin like this."""
        word = word.upper() if self.fold else word
        return tuple(a for a in self.values if a.startswith(word) and a != word)

    def read(self, beginning: str, *, whole: bool = False) -> Prefix:
        """Say what the beginning of a reply is.

        Args:
            beginning: The reply as far as it is known.
            whole: The grader is known to write an answer in one token, so that a
                shorter one ("8") is not the beginning of a longer one ("85").
        """
        text = beginning.lstrip(MARKUP)
        if not text:
            return Prefix(could_be=tuple(self.values))
        word = _WORD.match(text)
        head = word.group() if word else ""
        answer = self.find(head)
        if len(text) > len(head):
            # "85." may go on as "85.5", which is no answer.
            ended = head != "" and not re.match(r"[.,]\d|[\w-]", text[len(head) :])
            return Prefix(answer=answer if ended else None)
        longer = self.extensions(head)
        if answer is not None and (whole or not longer):
            return Prefix(answer=answer)
        return Prefix(could_be=longer if answer is None else (answer, *longer))

    def is_whole(self, word: str) -> bool:
        """Whether this token is an answer that a smaller tokenizer would have cut."""
        answer = self.find(word.lstrip(MARKUP))
        return answer is not None and any(
            answer[:length] in self.values for length in range(1, len(answer))
        )


PERCENT = Scale({str(number): float(number) for number in range(101)})
"""Whole numbers from 0 to 100."""

LETTERS = Scale({"A": 0.0, "B": 25.0, "C": 50.0, "D": 75.0, "E": 100.0})
"""Five levels on the same scale, each one token in every tokenizer."""

FIVE = Scale({str(number): float(number) for number in range(1, 6)})
"""Whole numbers from 1 to 5."""

YES_NO = Scale({"YES": 1.0, "NO": 0.0}, fold=True)
"""A verdict."""
