"""Prompt sets: data in YAML, checked on the way in, identified by their bytes."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from inspect_lda.errors import LDAError, nearest
from inspect_lda.tasks._prompt_file import (
    SCHEMA,
    Defaults,
    Kind,
    Prefix,
    Prompt,
    PromptFile,
)

__all__ = [
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
            "license": ", ".join(self.content.licenses),
            "sha256": self.sha256,
            "prompts": len(self.content.prompts),
        }

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
        picked = [units[i * len(units) // count] for i in range(count)]
        return tuple(prompt for unit in picked for prompt in unit)


def load_prompts(spec: str, kind: Kind | None = "prompt") -> PromptSet:
    """Load `builtin:NAME` or the path of a YAML file.

    Args:
        spec: Which set.
        kind: What the caller can ask: whole turns, or starts of them; None for both.

    Raises:
        LDAError: If there is no such set, it breaks the schema (says where), or is of
            the other kind.
    """
    raw = _read(spec)
    try:
        content = PromptFile.model_validate(yaml.safe_load(raw))
    except yaml.YAMLError as error:
        raise LDAError(f"prompts={spec!r} is no YAML: {error}") from error
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
