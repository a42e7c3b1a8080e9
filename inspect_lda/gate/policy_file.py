"""Policies as files."""

import hashlib
import reprlib
from collections.abc import Hashable
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from inspect_lda.errors import LDAError, nearest
from inspect_lda.gate.policy import (
    BehaviourRules,
    JudgeRules,
    LogRules,
    PairRules,
    Policy,
)


class _Unambiguous(yaml.SafeLoader):
    """Refuses a key that is there twice: of two limits the first would not hold."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        """As `SafeLoader` does, if no key is there twice."""
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(
                    "while reading keys",
                    node.start_mark,
                    f"{key.value!r} is there twice",
                    key.start_mark,
                )
        return super().construct_mapping(node, deep=deep)


def read_policy(path: Path) -> Policy:
    """Read and check a policy.

    Raises:
        LDAError: If it cannot be read, is no YAML, or breaks the schema; says where.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LDAError(
            f"--policy {path}: cannot be read ({error}). Write one: inspect-lda gate "
            "init"
        ) from error
    try:
        content = yaml.load(text, _Unambiguous)  # a SafeLoader
    except yaml.YAMLError as error:
        raise LDAError(f"--policy {path}: no YAML ({error})") from error
    if not isinstance(content, dict):
        raise LDAError(
            f"--policy {path}: need keys and values, got "
            f"{type(content).__name__}. Write one: inspect-lda gate init"
        )
    return checked(content, f"--policy {path}")


def checked(content: dict[str, object], name: str) -> Policy:
    """Check a policy that was read.

    Raises:
        LDAError: If it breaks the schema; names the key, what came and what is allowed.
    """
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        raise LDAError(f"{name}: {_first(error)}") from error


def fingerprint(policy: Policy) -> str:
    """SHA-256 of what a policy says, whatever its layout and comments."""
    return hashlib.sha256(policy.model_dump_json().encode()).hexdigest()


def template() -> str:
    """The commented policy to begin with."""
    return (files("inspect_lda.gate") / "policy.yaml").read_text("utf-8")


def _first(error: ValidationError) -> str:
    # A key that is misspelt is missing too; what was typed is the better clue.
    told = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    first, total = told[0], len(told)
    place = ".".join(map(str, first["loc"]))
    more = f" (and {total - 1} more)" if total > 1 else ""
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        return f"{place}: no such key; {nearest(key, _keys(place))}{more}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{place + ': ' if place else ''}{message}{more}"
    return f"{place}: {message} (got {reprlib.repr(first['input'])}){more}"


def _keys(place: str) -> list[str]:
    """The keys that are allowed beside the one that is not."""
    parts = [part for part in place.split(".")[:-1] if not part.isdigit()]
    models: dict[str, type[BaseModel]] = {
        "logs": LogRules,
        "pair": PairRules,
        "behaviours": BehaviourRules,
        "judge": JudgeRules,
    }
    model: type[BaseModel] = Policy if not parts else models.get(parts[-1], Policy)
    return [field.alias or name for name, field in model.model_fields.items()]
