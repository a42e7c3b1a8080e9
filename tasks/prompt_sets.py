"""Prompt sets: checked on the way in, identified by their bytes."""

import reprlib
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompt_file import (
    SCHEMA,
    Defaults,
    Kind,
    Prefix,
    Prompt,
    PromptFile,
)
from inspect_lda.tasks._prompts.adapters import Adapter, Columns, choose
from inspect_lda.tasks._prompts.cache import digest
from inspect_lda.tasks._prompts.formats import rows_of
from inspect_lda.tasks._prompts.mapping import Mapped, map_rows
from inspect_lda.tasks._prompts.sources import Loaded, builtin_names, load_source

__all__ = [
    "Columns",
    "Defaults",
    "Kind",
    "Prefix",
    "Prompt",
    "PromptFile",
    "PromptSet",
    "builtin_names",
    "load_prompts",
]

EXAMPLES: dict[Kind, str] = {"prompt": "builtin:everyday", "prefix": "builtin:prefixes"}


@dataclass(frozen=True)
class PromptSet:
    """A loaded set; `record` goes into Task.metadata so that logs can be compared.

    Attributes:
        spec: As the user gave it.
        source: Where it was read from, and the hash of what was read.
        content: The prompts, checked.
        adapter: The column map that made them; None for a file of our schema.
        mapped: What that map saw in the rows; None for a file of our schema.
    """

    spec: str
    source: Loaded
    content: PromptFile
    adapter: str | None = None
    mapped: Mapped | None = None

    @property
    def sha256(self) -> str:
        """Of the bytes that were read."""
        return self.source.sha256

    @property
    def record(self) -> dict[str, Any]:
        """Where the prompts came from and what exactly they were.

        `rows` counts what the source holds, `prompts` what is asked; `dropped` says
        why they differ. Rubrics that came along are recorded by their hashes.
        """
        mapped = self.mapped or Mapped(len(self.content.prompts))
        return {
            "spec": self.spec,
            "id": self.content.id,
            "version": self.content.version,
            "license": ", ".join(self.content.licenses),
            "revision": self.source.revision,
            "floating": self.source.floating,
            "sha256": self.sha256,
            "adapter": self.adapter,
            "rows": mapped.rows,
            "prompts": len(self.content.prompts),
            "dropped": mapped.dropped,
            "judge_prompts": {
                name: [digest(text.encode()) for text in texts]
                for name, texts in mapped.judges.items()
            },
        }

    @property
    def judge_prompts(self) -> dict[str, str]:
        """Rubrics that came with the prompts: name → text, none for our own sets.

        Raises:
            LDAError: If its prompts do not share one text under a name.
        """
        judges = self.mapped.judges if self.mapped else {}
        for name, texts in judges.items():
            if len(texts) > 1:
                raise LDAError(
                    f"prompts={self.spec!r}: its prompts have {len(texts)} different "
                    f"judge prompts {name!r}; a scorer takes one. Split the file"
                )
        return {name: texts[0] for name, texts in judges.items()}

    def pick(self, limit: int | None, *, whole: bool = False) -> tuple[Prompt, ...]:
        """At most `limit` prompts, spread evenly over the file and so its categories.

        Args:
            limit: None takes all.
            whole: Keep groups whole, for paired designs: as many groups as fit.

        Raises:
            LDAError: If the limit is not at least 1, or no group fits.
        """
        prompts = self.content.prompts
        if limit is None or limit >= len(prompts):
            return prompts
        groups: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            groups.setdefault(prompt.cluster if whole else prompt.id, []).append(prompt)
        units = list(groups.values())
        count = limit * len(units) // len(prompts)
        if limit < 1 or count < 1:
            least = f"at least {max(map(len, units))}"
            raise LDAError(f"limit_prompts={limit}: need {least}, or nothing for all")
        if whole:
            # Groups stand in a regular order, of which equal steps see one part only.
            units.sort(key=lambda unit: digest(unit[0].cluster.encode()))
            kept = {prompt.id for unit in units[:count] for prompt in unit}
            return tuple(prompt for prompt in prompts if prompt.id in kept)
        picked = [units[i * len(units) // count] for i in range(count)]
        return tuple(prompt for unit in picked for prompt in unit)


def load_prompts(
    spec: str,
    allow_floating: bool = False,
    adapter: str | None = None,
    columns: Columns | None = None,
    *,
    kind: Kind | None = "prompt",
) -> PromptSet:
    """Load prompts from wherever the spec says; docs/prompts.md has the forms.

    Args:
        spec: `builtin:NAME`, a path, `https://…#sha256=…`, `github:…` or `hf:…`.
        allow_floating: Whether an unpinned source may be taken.
        adapter: Column map for somebody else's file; found by its columns if None.
        columns: A column map of one's own, `input=prompt,category=type`.
        kind: What the caller can ask: whole turns, or starts of them; None for both.

    Raises:
        LDAError: If the spec is wrong or unpinned, its source cannot be had or is not
            what was pinned, its rows fit no map, it breaks the schema (says where), or
            it is of the other kind.
    """
    source = load_source(spec, allow_floating)
    document, name, mapped = source.document, None, None
    if not (isinstance(document, dict) and "schema" in document):
        rows = rows_of(spec, document)
        chosen = choose(spec, set().union(*rows), adapter, columns)
        mapped, name = map_rows(spec, rows, chosen), chosen.name
        document = _as_file(source, chosen, mapped)
    elif adapter is not None or columns is not None:
        raise LDAError(
            f"prompts={spec!r} is a file of {SCHEMA}: leave out adapter and columns"
        )
    try:
        content = PromptFile.model_validate(document)
    except ValidationError as error:
        raise LDAError(f"prompts={spec!r} breaks {SCHEMA}: {_first(error)}") from error
    if kind is not None and kind != content.kind:
        raise LDAError(
            f"prompts={spec!r} is of kind {content.kind!r}, here a set of kind "
            f"{kind!r} is needed, e.g. {EXAMPLES[kind]}"
        )
    asked = [content.complete(prompt) for prompt in content.prompts]
    _unique(spec, "id", [(None, prompt.id) for prompt in asked])
    _unique(spec, "input", [(prompt.system or None, prompt.input) for prompt in asked])
    return PromptSet(spec, source, content, name, mapped)


def _as_file(source: Loaded, adapter: Adapter, mapped: Mapped) -> dict[str, object]:
    """Somebody else's rows in our schema; they have no version but their hash."""
    return {
        "schema": SCHEMA,
        "id": source.name,
        "version": 0,
        "license": "unknown",
        "behaviour": adapter.behaviour,
        "prompts": mapped.prompts,
    }


def _first(error: ValidationError) -> str:
    """The first complaint with its place, e.g. `prompts.3.input: … (got '')`."""
    first, total = error.errors()[0], error.error_count()
    place = ".".join(map(str, first["loc"])) or "file"
    more = f" (and {total - 1} more)" if total > 1 else ""
    return f"{place}: {first['msg']} (got {reprlib.repr(first['input'])}){more}"


def _unique(spec: str, field: str, values: list[tuple[str | None, str]]) -> None:
    """Each (system, text) once: a text may recur under another system message."""
    seen: set[tuple[str | None, str]] = set()
    for system, text in values:
        if (system, text) in seen:
            under = f" under system {system!r:.80}" if system else ""
            raise LDAError(
                f"prompts={spec!r}: {field} {text!r:.80} occurs twice{under}"
            )
        seen.add((system, text))
