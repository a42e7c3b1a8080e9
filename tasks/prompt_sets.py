"""Prompt sets: data in YAML, checked on the way in, identified by their bytes."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from inspect_lda.errors import LDAError, nearest

SCHEMA = "inspect_lda.prompts/1"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Prompt(BaseModel):
    """One prompt.

    Attributes:
        id: Unique in its set; part of sample ids, so keep it stable.
        input: The user's turn.
        category: For breakdowns.
        group: Cluster key: paraphrases of one idea share it. Defaults to the id.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Text
    input: Text
    category: str = ""
    group: str = ""

    @property
    def cluster(self) -> str:
        """The group, or the prompt itself."""
        return self.group or self.id


class Defaults(BaseModel):
    """What all prompts of a set share: an optional system message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str | None = None


class PromptFile(BaseModel):
    """The file, field by field. `license` may say "unknown", but must say something."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["inspect_lda.prompts/1"] = Field(alias="schema")
    id: Text
    version: int
    license: Text
    behaviour: Text
    defaults: Defaults = Defaults()
    prompts: tuple[Prompt, ...] = Field(min_length=1)


@dataclass(frozen=True)
class PromptSet:
    """A loaded set; `record` goes into Task.metadata so that logs can be compared."""

    spec: str
    sha256: str
    content: PromptFile

    @property
    def record(self) -> dict[str, str | int]:
        """Where the prompts came from and what exactly they were."""
        return {
            "spec": self.spec,
            "id": self.content.id,
            "version": self.content.version,
            "license": self.content.license,
            "sha256": self.sha256,
            "prompts": len(self.content.prompts),
        }

    def pick(self, limit: int | None) -> tuple[Prompt, ...]:
        """At most `limit` prompts, spread evenly over the file and so its categories.

        Raises:
            LDAError: If the limit is not at least 1.
        """
        prompts = self.content.prompts
        if limit is None or limit >= len(prompts):
            return prompts
        if limit < 1:
            raise LDAError(
                f"limit_prompts={limit}: need at least 1, or nothing for all"
            )
        return tuple(prompts[i * len(prompts) // limit] for i in range(limit))


def load_prompts(spec: str) -> PromptSet:
    """Load `builtin:NAME` or the path of a YAML file.

    Raises:
        LDAError: If there is no such set, or it breaks the schema; says where.
    """
    raw = _read(spec)
    try:
        content = PromptFile.model_validate(yaml.safe_load(raw))
    except yaml.YAMLError as error:
        raise LDAError(f"prompts={spec!r} is no YAML: {error}") from error
    except ValidationError as error:
        raise LDAError(f"prompts={spec!r} breaks {SCHEMA}: {_first(error)}") from error
    for field in ("id", "input"):
        _unique(spec, field, [getattr(prompt, field) for prompt in content.prompts])
    return PromptSet(spec, hashlib.sha256(raw).hexdigest(), content)


def builtin_names() -> list[str]:
    """The sets that come with the package."""
    folder = files("inspect_lda.tasks") / "prompts"
    names = [entry.name for entry in folder.iterdir()]
    return sorted(n.removesuffix(".yaml") for n in names if n.endswith(".yaml"))


def _read(spec: str) -> bytes:
    kind, _, name = spec.partition(":")
    if kind == "builtin":
        if name not in builtin_names():
            raise LDAError(f"prompts={spec!r}: {nearest(name, builtin_names())}")
        return (files("inspect_lda.tasks") / "prompts" / f"{name}.yaml").read_bytes()
    path = Path(spec).expanduser()
    try:
        return path.read_bytes()
    except OSError as error:
        raise LDAError(
            f"prompts={spec!r}: cannot read {path.absolute()} ({error.strerror}). Give "
            f"a YAML file of schema {SCHEMA} or one of "
            + ", ".join(f"builtin:{name}" for name in builtin_names())
        ) from error


def _first(error: ValidationError) -> str:
    """The first complaint with its place, e.g. `prompts.3.input: … (got '')`."""
    first, total = error.errors()[0], error.error_count()
    place = ".".join(map(str, first["loc"])) or "file"
    more = f" (and {total - 1} more)" if total > 1 else ""
    return f"{place}: {first['msg']} (got {first['input']!r:.60}){more}"


def _unique(spec: str, field: str, values: list[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise LDAError(f"prompts={spec!r}: {field} {value!r:.80} occurs twice")
        seen.add(value)
