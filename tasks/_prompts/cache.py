"""Pinned downloads, kept on disk. What is found is hashed again before it is used."""

import hashlib
import logging
import os
import tempfile
from pathlib import Path

from inspect_lda.organisms.base import cache_directory

logger = logging.getLogger(__name__)


def digest(data: bytes) -> str:
    """The sha256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def find(url: str, sha256: str | None) -> bytes | None:
    """The bytes that were kept for an address, or under a known hash from anywhere."""
    pattern = f"*-{sha256}" if sha256 else f"{digest(url.encode())}-*"
    for path in sorted(_folder().glob(pattern)):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if digest(data) == path.name.rpartition("-")[2]:
            return data
        logger.warning("%s is damaged; it is fetched again", path)
    return None


def keep(url: str, data: bytes) -> None:
    """Write the bytes under the hashes of their address and of themselves."""
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(scratch, folder / f"{digest(url.encode())}-{digest(data)}")
    except OSError as error:
        logger.warning("prompts are not kept in %s (%s)", folder, error)


def _folder() -> Path:
    return cache_directory() / "prompts"
