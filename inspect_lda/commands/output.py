"""Files that commands write."""

from pathlib import Path

import click

from inspect_lda.errors import LDAError


def write(path: Path, content: bytes) -> None:
    """Write a file, its folders too, and say so.

    Raises:
        LDAError: If it can not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise LDAError(f"cannot write {path}: {error.strerror}") from error
    click.echo(f"Wrote {path}")
