"""Read what a spec names: bytes from wherever they are, parsed, with their hash."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePath

from inspect_lda.errors import LDAError, nearest
from inspect_lda.tasks._prompts import cache
from inspect_lda.tasks._prompts.formats import read_document
from inspect_lda.tasks._prompts.spec import (
    FORMS,
    Builtin,
    Hub,
    LocalFile,
    Web,
    parse_spec,
)


@dataclass(frozen=True)
class Loaded:
    """A source, read.

    Attributes:
        name: What to call the set if it does not name itself.
        document: What the file holds, or the rows of a data set.
        sha256: Of the file's bytes; of the rows as JSON lines for a hub data set.
        revision: The commit (or branch, if floating) it was taken from, if any.
        floating: Whether the next run may get something else under the same spec.
    """

    name: str
    document: object
    sha256: str
    revision: str | None = None
    floating: bool = False


def load_source(spec: str, allow_floating: bool = False) -> Loaded:
    """Find, fetch and parse.

    Raises:
        LDAError: If the spec is wrong or unpinned, or its source cannot be read, is not
            what was pinned, or not of a known format.
    """
    source = parse_spec(spec, allow_floating)
    match source:
        case Builtin():
            return _parsed(spec, f"{source.name}.yaml", _builtin(spec, source.name))
        case LocalFile():
            return _parsed(spec, PurePath(source.path).name, _local(spec, source.path))
        case Web():
            raw = _web(spec, source)
            floating = not source.pinned
            return _parsed(spec, source.name, raw, source.revision, floating)
        case Hub():
            return _hub(spec, source)


def pinned_spec(spec: str, loaded: Loaded) -> str:
    """A floating spec, tied to what was just loaded."""
    source = parse_spec(spec, allow_floating=True)
    if isinstance(source, Hub):
        return spec.replace(f"@{source.revision}", f"@{loaded.revision}", 1)
    return f"{spec}#sha256={loaded.sha256}"


def builtin_names() -> list[str]:
    """The sets that come with the package."""
    folder = files("inspect_lda.tasks") / "prompts"
    names = [entry.name for entry in folder.iterdir()]
    return sorted(n.removesuffix(".yaml") for n in names if n.endswith(".yaml"))


def _parsed(
    spec: str,
    name: str,
    raw: bytes,
    revision: str | None = None,
    floating: bool = False,
) -> Loaded:
    document = read_document(spec, name, raw)
    stem = PurePath(name).stem
    return Loaded(stem, document, cache.digest(raw), revision, floating)


def _builtin(spec: str, name: str) -> bytes:
    if name not in builtin_names():
        raise LDAError(f"prompts={spec!r}: {nearest(name, builtin_names())}")
    return (files("inspect_lda.tasks") / "prompts" / f"{name}.yaml").read_bytes()


def _local(spec: str, given: str) -> bytes:
    path = Path(given).expanduser()
    try:
        return path.read_bytes()
    except OSError as error:
        raise LDAError(
            f"prompts={spec!r}: cannot read {path.absolute()} ({error.strerror}). Give "
            f"{FORMS}. Sets of the package: "
            + ", ".join(f"builtin:{name}" for name in builtin_names())
        ) from error


def _web(spec: str, source: Web) -> bytes:
    """The bytes, from the cache if they are pinned; checked against their hash."""
    kept = cache.find(source.url, source.sha256) if source.pinned else None
    if kept is not None:
        return kept
    # Imported here: it loads ssl, which no other source needs.
    from inspect_lda.tasks._prompts.fetch import fetch

    raw = fetch(source.url)
    found = cache.digest(raw)
    if source.sha256 not in (None, found):
        raise LDAError(
            f"prompts={spec!r} is not the file that was pinned: it has sha256 {found}, "
            f"the spec says {source.sha256}. Somebody changed it; look at it before "
            "you pin it anew"
        )
    if source.pinned:
        cache.keep(source.url, raw)
    return raw


def _hub(spec: str, source: Hub) -> Loaded:
    from inspect_lda.tasks._prompts.hub import hub_rows, row_bytes

    rows, commit = hub_rows(spec, source)
    name = "-".join(filter(None, (source.repo, source.config, source.split)))
    sha256 = cache.digest(row_bytes(rows))
    return Loaded(name, rows, sha256, commit, not source.pinned)
