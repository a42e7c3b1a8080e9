"""The one string that names a prompt set, read into what it means. No I/O."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompts.addresses import masked, refuse_credentials

FORMS = (
    "builtin:NAME, the path of a file (.yaml, .json, .jsonl, .csv), "
    "https://…#sha256=HEX, github:OWNER/REPO@COMMIT:PATH, or "
    "hf:ORG/NAME@COMMIT[:CONFIG]/SPLIT"
)
RAW = "https://raw.githubusercontent.com"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GITHUB = re.compile(r"github:([\w.-]+)/([\w.-]+)@([^:\s]+):([^#]+)(#.*)?")
_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+)@([\w.-]+)(?::([\w.-]+))?/([\w.%:+\[\]-]+)")


@dataclass(frozen=True)
class Builtin:
    """A set that comes with the package."""

    name: str


@dataclass(frozen=True)
class LocalFile:
    """A file of the user's."""

    path: str


@dataclass(frozen=True)
class Web:
    """A file behind https.

    Attributes:
        url: The address, without fragment.
        sha256: What the bytes must hash to; None where a commit pins them, or nothing.
        revision: The commit or branch in a `github:` spec.
        pinned: Whether spec and bytes are tied: by hash, or by a full commit.
    """

    url: str
    sha256: str | None
    revision: str | None
    pinned: bool

    @property
    def name(self) -> str:
        """The file's name, which tells its format."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])


@dataclass(frozen=True)
class Hub:
    """A split of a data set on the Hugging Face hub; it may be a slice, `train[:9]`."""

    repo: str
    revision: str
    config: str | None
    split: str
    pinned: bool


Source = Builtin | LocalFile | Web | Hub


def parse_spec(spec: str, allow_floating: bool = False) -> Source:
    """Say what a spec means.

    Args:
        spec: One of `FORMS`.
        allow_floating: Whether a source may be unpinned, so that the next run may get
            other prompts.

    Raises:
        LDAError: If it has none of the forms, is unpinned without `allow_floating`, is
            not https, or holds credentials (which would end in the log).
    """
    if not isinstance(spec, str) or not spec.strip():
        raise LDAError(f"prompts={spec!r}: need one text: {FORMS}")
    source = _parse(spec.strip())
    if isinstance(source, (Web, Hub)) and not source.pinned and not allow_floating:
        raise LDAError(
            f"prompts={spec!r} is not pinned, so the next run may get other prompts. "
            f"{_way_to_pin(source)}, or set allow_floating=true"
        )
    return source


def _parse(spec: str) -> Source:
    kind, colon, rest = spec.partition(":")
    if kind == "builtin" and colon:
        return Builtin(rest)
    if kind == "github" and colon:
        return _github(spec)
    if kind == "hf" and colon:
        return _hub(spec)
    if kind.lower() == "https" and colon:
        return _web(spec)
    if "://" in spec:
        raise LDAError(
            f"prompts={masked(spec)!r}: only https addresses are fetched. Take {FORMS}"
        )
    return LocalFile(spec)


def _web(spec: str) -> Web:
    refuse_credentials(spec)
    url, _, fragment = spec.partition("#")
    return Web(url, _sha256(spec, fragment), None, pinned=bool(fragment))


def _sha256(spec: str, fragment: str) -> str | None:
    """The hash behind the `#`; None if there is no fragment at all."""
    if not fragment:
        return None
    name, _, value = fragment.partition("=")
    if name != "sha256" or not _SHA256.fullmatch(value.lower()):
        raise LDAError(
            f"prompts={spec!r}: behind # comes sha256= and 64 hex digits, got "
            f"{fragment!r}. Get them with `sha256sum FILE`"
        )
    return value.lower()


def _github(spec: str) -> Web:
    match = _GITHUB.fullmatch(spec)
    parts = match[4].split("/") if match else []
    if match is None or any(part in ("", ".", "..") for part in parts):
        raise LDAError(
            f"prompts={spec!r}: need github:OWNER/REPO@COMMIT:PATH, with the path from "
            "the repository's root"
        )
    owner, repo, revision, path, fragment = match.groups()
    commit = _commit(revision)
    sha256 = _sha256(spec, (fragment or "#")[1:])
    # A branch may hold slashes; they stay slashes in the address.
    url = f"{RAW}/{owner}/{repo}/{quote(commit or revision)}/{quote(path)}"
    return Web(url, sha256, commit or revision, pinned=bool(commit or sha256))


def _hub(spec: str) -> Hub:
    match = _HUB.fullmatch(spec)
    if match is None:
        raise LDAError(
            f"prompts={spec!r}: need hf:ORG/NAME@COMMIT[:CONFIG]/SPLIT, e.g. "
            "hf:org/name@0123…cdef/train or …/train[:500]"
        )
    repo, revision, config, split = match.groups()
    commit = _commit(revision)
    return Hub(repo, commit or revision, config, split, pinned=commit is not None)


def _commit(revision: str) -> str | None:
    return revision.lower() if _COMMIT.fullmatch(revision.lower()) else None


def _way_to_pin(source: Web | Hub) -> str:
    if isinstance(source, Hub) or source.revision is not None:
        return (
            f"Give the full commit (40 hex digits) instead of {source.revision!r}: "
            "branches and tags move"
        )
    return "Put #sha256=HEX behind the address, the hash of the file you mean"
