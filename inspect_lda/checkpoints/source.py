"""Checkpoint names: what users type, where it lies, what it is called in logs.

A name is a local directory, a hub id with an optional `@revision`, or a GGUF file
(`path/file.gguf`, `dir:file.gguf`, `org/name:file.gguf`). Locating one reads at most a
config file; a branch is resolved to its commit, so that config, tokenizer and weights
come from one and the same version. Nothing here imports torch.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from inspect_lda.errors import LDAError, nearest

_GGUF = re.compile(r"^(?P<where>.+):(?P<file>[^:]+\.gguf)$")
_HUB = re.compile(r"^(?P<repo>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[^@\s]+))?$")
_ACCEPTED = (
    "Accepted: a local directory, a hub id such as org/name or org/name@revision, a "
    "PEFT adapter (directory or hub id), a .gguf file, or demo/<organism>."
)
_PARTS = frozenset({".safetensors", ".json", ".jinja", ".gguf", ".bin", ".model"})
_TOKENIZER_FILES = ("*token*", "vocab*", "*.tiktoken", "tekken.json", "spiece.model")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found.

    Attributes:
        source: Absolute local directory, or hub id.
        revision: Commit of a hub repository; None for a directory.
        gguf_file: File name inside `source`, for GGUF.
        name: Canonical name for logs.
        stamp: When a directory was last written, so that a checkpoint that was trained
            further in place is another checkpoint; 0 for a commit.
    """

    source: str
    revision: str | None
    gguf_file: str | None
    name: str
    stamp: int = 0

    @property
    def is_local(self) -> bool:
        """Whether `source` is a directory on this machine."""
        return self.revision is None

    def file(self, filename: str) -> Path | None:
        """A file of the checkpoint, downloaded if need be; None if it has none."""
        if self.is_local:
            path = Path(self.source) / filename
            return path if path.is_file() else None
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
        from huggingface_hub.errors import EntryNotFoundError

        cached = try_to_load_from_cache(self.source, filename, revision=self.revision)
        if cached is not None:  # a path, or the mark of a file known not to exist
            return Path(cached) if isinstance(cached, str) else None
        try:
            return Path(hf_hub_download(self.source, filename, revision=self.revision))
        except EntryNotFoundError:  # also when offline and not in the cache
            return None

    def is_current(self) -> bool:
        """Whether the files are still those that were found."""
        return not self.is_local or _stamp(Path(self.source)) == self.stamp

    def lacks_tokenizer(self) -> bool:
        """Whether no tokenizer can come from here, as far as a look can tell."""
        if self.gguf_file:
            return False
        if self.is_local:
            home = Path(self.source)
            return not any(any(home.glob(pattern)) for pattern in _TOKENIZER_FILES)
        known = ("tokenizer_config.json", "tokenizer.json", "tokenizer.model")
        return not any(self.file(name) for name in known)


def locate(text: str, argument: str) -> Checkpoint:
    """Find a checkpoint.

    Args:
        text: What the user typed.
        argument: The argument it came from, for error messages.

    Raises:
        LDAError: If there is no such checkpoint, or the hub is out of reach.
    """
    text = text.strip()
    if not text:
        raise LDAError(f"{argument}: got an empty checkpoint name. {_ACCEPTED}")
    path = Path(text).expanduser()
    if path.is_dir():
        home = str(path.resolve())
        return Checkpoint(home, None, None, home, _stamp(path))
    if path.is_file():
        return _local_file(path.resolve(), argument)
    gguf = _GGUF.match(text)
    where, file = (gguf["where"], gguf["file"]) if gguf else (text, None)
    home_of_gguf = Path(where).expanduser()
    if file and home_of_gguf.is_dir():
        if not (home_of_gguf / file).is_file():
            raise _missing(home_of_gguf / file, argument)
        return _local_file((home_of_gguf / file).resolve(), argument)
    hub = _HUB.match(where)
    if not hub or where.startswith((".", "~")) or where.endswith(".gguf"):
        raise _missing(path, argument)
    return _on_hub(hub["repo"], hub["revision"], file, argument)


def is_path_like(text: str) -> bool:
    """Whether a name can only be a path, existing or not."""
    return _HUB.match(text) is None or text.startswith((".", "~"))


def _local_file(path: Path, argument: str) -> Checkpoint:
    if path.suffix != ".gguf":
        raise LDAError(
            f"{argument}: {path} is a file, not a checkpoint. Give the directory that "
            f"holds it ({path.parent}). {_ACCEPTED}"
        )
    stamp = _stamp(path.parent)
    return Checkpoint(str(path.parent), None, path.name, str(path), stamp)


def _stamp(home: Path) -> int:
    """Latest change of a file that a checkpoint is made of, in nanoseconds."""
    found = [one for one in home.glob("*") if one.suffix in _PARTS]
    return max((one.stat().st_mtime_ns for one in found), default=0)


def _missing(path: Path, argument: str) -> LDAError:
    parent = path.parent
    hint = "The directory above it does not exist either. "
    if parent.is_dir():
        siblings = [one.name for one in parent.iterdir()][:50]
        near = nearest(path.name, siblings) if siblings else ""
        hint = f"In {parent}: {near or 'nothing'}. "
    return LDAError(f"{argument}: no checkpoint at '{path}'. {hint}{_ACCEPTED}")


def _on_hub(
    repo: str, revision: str | None, gguf_file: str | None, argument: str
) -> Checkpoint:
    """Resolve a hub id to a commit, by the one file that every such checkpoint has."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    wanted = (gguf_file,) if gguf_file else ("config.json", "adapter_config.json")
    found: str | None = None
    for filename in wanted:
        try:
            found = hf_hub_download(repo, filename, revision=revision)
            break
        except LocalEntryNotFoundError as error:
            # Every further request would go through the same retries (about 25 s), so
            # from here on only the cache is asked.
            for name in wanted:
                cached = try_to_load_from_cache(repo, name, revision=revision)
                found = cached if isinstance(cached, str) else found
            if found is None:
                raise _unreachable(repo, revision, argument) from error
            break
        except EntryNotFoundError:
            continue
        except Exception as error:  # every other answer of the hub is a refusal
            raise _refused(repo, revision, argument, error) from error
    if found is None:
        raise LDAError(
            f"{argument}: the hub repository '{repo}' has no {' or '.join(wanted)}, so "
            f"it holds no checkpoint that can be loaded. For GGUF name the file: "
            f"{repo}:<file>.gguf. {_ACCEPTED}"
        )
    parts = Path(found).parts
    commit = parts[parts.index("snapshots") + 1]
    suffix = f":{gguf_file}" if gguf_file else ""
    return Checkpoint(repo, commit, gguf_file, f"{repo}@{commit}{suffix}")


def _unreachable(repo: str, revision: str | None, argument: str) -> LDAError:
    from huggingface_hub import constants

    at = f" at revision '{revision}'" if revision else ""
    why = (
        "HF_HUB_OFFLINE is set, so the hub was not asked"
        if constants.HF_HUB_OFFLINE
        else "the hub could not be reached"
    )
    return LDAError(
        f"{argument}: '{repo}'{at} is neither a local directory nor in the hub cache, "
        f"and {why}. Give a local directory, or go online (and unset HF_HUB_OFFLINE), "
        "or point HF_HOME at a cache that holds it."
    )


def _refused(
    repo: str, revision: str | None, argument: str, error: Exception
) -> LDAError:
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        text = "is gated: accept its licence on the hub and set HF_TOKEN"
    elif isinstance(error, RevisionNotFoundError):
        text = f"has no revision '{revision}': give a branch, a tag or a commit"
    elif isinstance(error, RepositoryNotFoundError):
        text = (
            "is neither a local directory nor a hub repository that this account may "
            "read: check the spelling, and HF_TOKEN if it is private"
        )
    else:
        text = f"could not be read from the hub ({type(error).__name__}: {error})"
    return LDAError(f"{argument}: '{repo}' {text}. {_ACCEPTED}")
