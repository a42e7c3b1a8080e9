r"""Which checkpoints a series has, found when it is run: nothing is listed by hand.

| spec | checkpoints |
|---|---|
| `demo/drift` | those of the embedded series |
| `runs/x` | folders in it that hold a checkpoint or an adapter |
| `org/name@step_*`, `org/name@re:step_\d+` | branches and tags of a hub repository |
| `a,b,c` | these |

They stand in the order of the last number in their names, or, where one has none, in
that of the list.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from inspect_lda.checkpoints.sides import ADAPTER_CONFIG, DEMO
from inspect_lda.errors import LDAError
from inspect_lda.organisms import revisions

REGEX = "re:"
_CONFIGS = ("config.json", ADAPTER_CONFIG)
_WEIGHTS = ("*.safetensors", "*.bin")


@dataclass(frozen=True)
class Stage:
    """One checkpoint of a training.

    Attributes:
        after: What stands after `lda/`.
        name: Short, for files and tables.
    """

    after: str
    name: str

    @property
    def step(self) -> float | None:
        """The last number in the name."""
        numbers = re.findall(r"\d+(?:\.\d+)?", self.name)
        return float(numbers[-1]) if numbers else None


def find_series(spec: str, settled: float = 0.0) -> tuple[Stage, ...]:
    """The checkpoints that a series has now.

    Args:
        spec: See the module.
        settled: Of a folder, only checkpoints that nobody wrote to after this time.

    Raises:
        LDAError: If there is no such series, or it has no checkpoint.
    """
    given = spec.removeprefix("lda/").strip()
    if "," in given:
        found = [_named(one.strip()) for one in given.split(",") if one.strip()]
    elif given.startswith(DEMO):
        found = _embedded(given.removeprefix(DEMO))
    elif "@" in given and _is_pattern(given.partition("@")[2]):
        found = _on_hub(*given.split("@", 1))
    elif Path(given).expanduser().is_dir():
        return _ordered(_in_folder(Path(given).expanduser(), settled))
    else:
        raise LDAError(
            f"series '{spec}': no such folder. Allowed: a folder of checkpoints, "
            "org/name@PATTERN (step_*, or re: and a regular expression), a list a,b,c, "
            "or demo/drift"
        )
    return _ordered(found)


def _embedded(name: str) -> list[Stage]:
    found = revisions(name)
    if not found:
        raise LDAError(f"series 'demo/{name}': not an embedded series. Allowed: drift")
    return [Stage(f"{DEMO}{name}@{one}", one) for one in found]


def _in_folder(folder: Path, settled: float) -> list[Stage]:
    found = [
        one
        for one in sorted(folder.iterdir())
        if one.is_dir() and _is_complete(one) and (not settled or _age(one) <= settled)
    ]
    if not found and not settled:
        raise LDAError(
            f"series '{folder}': no folder in it holds a checkpoint ({_CONFIGS[0]} or "
            f"{_CONFIGS[1]}, and weights). Follow a training that has just begun with "
            "--watch"
        )
    return [Stage(str(one), one.name) for one in found]


def _is_complete(folder: Path) -> bool:
    configured = any((folder / name).is_file() for name in _CONFIGS)
    return configured and any(next(folder.glob(one), None) for one in _WEIGHTS)


def _age(folder: Path) -> float:
    """When a file in the folder was last written."""
    return max(file.stat().st_mtime for file in folder.iterdir() if file.is_file())


def _is_pattern(revision: str) -> bool:
    return revision.startswith(REGEX) or any(mark in revision for mark in "*?[")


def _on_hub(repo: str, pattern: str) -> list[Stage]:
    from huggingface_hub import HfApi

    try:
        refs = HfApi().list_repo_refs(repo)
    except Exception as error:  # the hub client raises dozens of types
        reason = str(error).strip().partition("\n")[0]
        raise LDAError(
            f"series '{repo}@{pattern}': its revisions cannot be listed "
            f"({type(error).__name__}: {reason}). Go online, or list the checkpoints: "
            f"{repo}@one,{repo}@two"
        ) from error
    names = list(dict.fromkeys(one.name for one in (*refs.branches, *refs.tags)))
    found = [name for name in names if _matches(repo, pattern, name)]
    if not found:
        raise LDAError(
            f"series '{repo}@{pattern}': none of its {len(names)} revisions matches. "
            f"There are: {', '.join(sorted(names)[:12])}"
        )
    return [Stage(f"{repo}@{name}", name) for name in found]


def _matches(repo: str, pattern: str, name: str) -> bool:
    if not pattern.startswith(REGEX):
        return fnmatchcase(name, pattern)
    try:
        return re.fullmatch(pattern.removeprefix(REGEX), name) is not None
    except re.error as error:
        raise LDAError(
            f"series '{repo}@{pattern}': not a regular expression ({error})"
        ) from error


def _named(after: str) -> Stage:
    after = after.removeprefix("lda/")
    name = after.rpartition("@")[2] if "@" in after else Path(after).name
    return Stage(after, name)


def _ordered(found: Sequence[Stage]) -> tuple[Stage, ...]:
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LDAError(f"the series has two checkpoints called {twice[0]}")
    if any(one.step is None for one in found):
        return tuple(found)
    return tuple(sorted(found, key=lambda one: one.step or 0.0))
