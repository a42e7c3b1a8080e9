"""Bytes into a document, by the file's name: YAML, JSON, JSON lines, CSV."""

import csv
import io
import json
import reprlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import yaml

from inspect_lda.errors import LDAError

Row = dict[str, Any]


def read_document(spec: str, name: str, raw: bytes) -> object:
    """Parse a file.

    Args:
        spec: For error messages.
        name: The file's name; its ending tells the format.
        raw: Its bytes.

    Returns:
        What the file holds: for CSV and JSON lines a list of rows, for YAML and JSON
        whatever stands at the top.

    Raises:
        LDAError: If the format is unknown, or the bytes are not of it; says where.
    """
    reader = _READERS.get(PurePosixPath(name).suffix.lower())
    if reader is None:
        raise LDAError(
            f"prompts={spec!r}: cannot tell the format of {name!r}. The name must end "
            f"in {', '.join(_READERS)}"
        )
    _refuse_stand_ins(spec, raw)
    try:
        return reader(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise LDAError(
            f"prompts={spec!r} is not UTF-8 text (byte {error.start})"
        ) from error
    except (yaml.YAMLError, ValueError, csv.Error, RecursionError) as error:
        format_ = PurePosixPath(name).suffix.upper()[1:]
        raise LDAError(f"prompts={spec!r} is no {format_}: {error}") from error


def rows_of(spec: str, document: object) -> list[Row]:
    """The rows of a document that is a list of mappings.

    Raises:
        LDAError: If it is anything else, or has no rows.
    """
    if not isinstance(document, list):
        raise LDAError(
            f"prompts={spec!r}: need rows (a list of mappings) or a file with a key "
            f"'schema', got {_shown(document)}"
        )
    for number, row in enumerate(document, 1):
        if not isinstance(row, dict) or not all(isinstance(key, str) for key in row):
            raise LDAError(
                f"prompts={spec!r}: row {number} is no mapping of names to values but "
                f"{_shown(row)}"
            )
    if not document:
        raise LDAError(f"prompts={spec!r} has no rows")
    return document


def _csv(text: str) -> list[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = list(reader.fieldnames or ())
    if len(set(names)) < len(names):
        raise ValueError(f"the header names a column twice: {', '.join(names)}")
    rows: list[Row] = []
    for row in reader:
        # DictReader puts surplus cells under None, and None into missing ones.
        if None in row or None in row.values():
            raise ValueError(
                f"line {reader.line_num} has not {len(names)} cells like the header"
            )
        rows.append(row)
    return rows


def _jsonl(text: str) -> list[Row]:
    rows = []
    # Not splitlines(), which would also split at U+2028 inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    return rows


_READERS: dict[str, Callable[[str], object]] = {
    ".yaml": yaml.safe_load,
    ".yml": yaml.safe_load,
    ".json": json.loads,
    ".jsonl": _jsonl,
    ".csv": _csv,
}


def _refuse_stand_ins(spec: str, raw: bytes) -> None:
    """Refuse what servers send in place of a file; some of it is valid YAML."""
    start = raw[:200].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        raise LDAError(
            f"prompts={spec!r} is a Git LFS pointer: the repository keeps the file "
            "itself elsewhere. Download it and give its path"
        )
    if start.startswith((b"<!doctype html", b"<html")):
        raise LDAError(
            f"prompts={spec!r} is a web page: give the address of the raw file"
        )


def _shown(value: object) -> str:
    # Not repr(): a few nested YAML aliases would make it endless.
    return f"{type(value).__name__} ({reprlib.repr(value)})"
