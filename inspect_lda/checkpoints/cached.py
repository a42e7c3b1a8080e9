"""Pair directories in the cache, for whoever starts a server on a pair."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from inspect_lda.errors import LDAError
from inspect_lda.organisms.base import cache_directory


def cached_pair(
    after: str, before: str | None, **options: Any
) -> tuple[Path, tuple[str, ...]]:
    """Write a pair directory into the cache, or find it there.

    It is named after what is in it and never written again, so that servers that run
    on it and other processes are not disturbed.

    Args:
        after: Checkpoint after the training.
        before: Checkpoint before it; None if it follows from `after`.
        **options: What else `write_pair` takes.

    Returns:
        The directory, and notes on what was noticed.

    Raises:
        LDAError: If the two are no pair, or the cache cannot be written.
    """
    from inspect_lda.checkpoints.directory import write_pair

    home = cache_directory() / "pairs"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix="new-") as folder:
            fresh = Path(folder) / "pair"
            notes = write_pair(after, before, fresh, **options)
            return _kept(fresh, home / _digest(fresh)), notes
    except OSError as error:
        raise LDAError(f"cannot write {home}: {error.strerror}") from error


def _kept(fresh: Path, final: Path) -> Path:
    if not final.exists():
        try:
            fresh.rename(final)
        except OSError:
            if not final.is_dir():  # else another process was faster
                raise
    return final


def _digest(directory: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(one for one in directory.rglob("*") if one.is_file()):
        content = path.read_bytes()
        found.update(f"{path.relative_to(directory)}:{len(content)}:".encode())
        found.update(content)
    return found.hexdigest()[:16]
