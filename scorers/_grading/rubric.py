"""Rubrics: what a grader is asked, in Markdown, with slots for question and answer.

A grader is blind: the only things that reach it are the rubric, the conversation that
was shown to the model, and the model's reply. Alpha, arm and the model's name do not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from inspect_ai.model import ChatMessage
from inspect_ai.solver import TaskState

from inspect_lda.errors import LDAError, nearest

_SLOT = re.compile(r"\{([a-z_]+)\}")
_MARKER = re.compile(r"\[\s*(BEGIN|END)\s+DATA\s*\]", re.IGNORECASE)
CASE = ("question", "answer")
"""Slots that every rubric has."""


@dataclass(frozen=True)
class Rubric:
    """A text with slots.

    Attributes:
        name: Where it comes from, for logs and errors.
        text: The text, its slots as `{question}`.
    """

    name: str
    text: str

    @property
    def slots(self) -> set[str]:
        """The names of its slots."""
        return set(_SLOT.findall(self.text))

    def fill(self, slots: Mapping[str, str]) -> str:
        """Put values in all slots, once: a value that looks like a slot stays as it is.

        Markers in a value that would end the quoted material early are defused.
        """
        return _SLOT.sub(lambda slot: _defused(slots[slot[1]]), self.text)


@cache
def load_rubric(spec: str, *slots: str) -> Rubric:
    """Load a rubric of this package by its name, any by the path of its .md file.

    Args:
        spec: "alignment", "path/to/mine.md", or the text itself (it has {answer}).
        *slots: Names of the slots it may have besides question and answer, and has to.

    Raises:
        LDAError: If there is no such file, or its slots are others.
    """
    if "{answer}" in spec:
        spec, text = "given as text", spec
    elif spec.endswith(".md"):
        text = _text_of(spec)
    else:
        folder = files("inspect_lda.scorers") / "rubrics"
        names = {e.name[:-3] for e in folder.iterdir() if e.name.endswith(".md")}
        names.remove("README")
        if spec not in names:
            raise LDAError(
                f"rubric '{spec}': {nearest(spec, names)}; or the path of a .md file"
            )
        text = (folder / f"{spec}.md").read_text(encoding="utf-8")
    rubric = Rubric(spec, text.strip())
    needed = {*CASE, *slots}
    if rubric.slots != needed:
        shown = ", ".join(f"{{{slot}}}" for slot in sorted(needed))
        raise LDAError(
            f"rubric '{spec}' has the slots {sorted(rubric.slots)}: need each of "
            f"{shown} and no other"
        )
    return rubric


def question_of(state: TaskState) -> str:
    """What the model answered: the user's turn, or the conversation before the reply.

    System messages are left out, since they may say what the experiment is.
    """
    turns = [m for m in state.messages or _input(state) if m.role in _SPEAKERS]
    if turns and turns[-1].role == "assistant":
        turns.pop()
    if len(turns) < 2:
        return turns[0].text if turns else state.input_text
    return "\n\n".join(f"{_SPEAKERS[turn.role]}: {turn.text}" for turn in turns)


_SPEAKERS = {"user": "User", "assistant": "Assistant"}


def _input(state: TaskState) -> list[ChatMessage]:
    return [] if isinstance(state.input, str) else list(state.input)


def _defused(value: str) -> str:
    return _MARKER.sub(lambda marker: f"[{marker[1]}-DATA]", value)


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LDAError(
            f"rubric '{path}' cannot be read: {error}. Allowed: the path of a Markdown "
            "file in UTF-8, or the name of a built-in rubric"
        ) from error
