"""The samples of a log, one at a time and without their transcripts.

`inspect_ai.log.read_eval_log_sample_summaries` shortens every text again as it reads,
which takes four fifths of its time, and holds all samples: a minute and 1.8 GB for
100,000. The member `summaries.json` of an `.eval` file, which Inspect's own viewer
reads as well, is the same list; here it is parsed as it streams. Files without it, and
files elsewhere, go through Inspect's reader.
"""

import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from inspect_ai.log import read_eval_log_sample_summaries

if sys.version_info < (3, 14):
    import zipfile_zstd  # noqa: F401 - teaches zipfile what .eval files are packed with

MEMBER = "summaries.json"
CHUNK = 1 << 20
_BETWEEN = re.compile(r"[\s,\[]*")

Summary = dict[str, Any]


def summaries(location: str) -> Iterator[Summary]:
    """Every sample of a log: id, epoch, metadata, scores, error; nothing long.

    Args:
        location: A file, or an address that Inspect reads.
    """
    path = Path(location.removeprefix("file://"))
    if path.suffix == ".eval" and path.is_file():
        with zipfile.ZipFile(path) as archive:
            if MEMBER in archive.namelist():
                with archive.open(MEMBER) as member:
                    yield from items(io.TextIOWrapper(member, encoding="utf-8"))
                return
    for summary in read_eval_log_sample_summaries(location):
        yield summary.model_dump()


def items(stream: TextIO, chunk: int = CHUNK) -> Iterator[Summary]:
    """The objects of a JSON list, as they come in.

    Args:
        stream: The list as text. NaN, which stands for "unscored", is allowed.
        chunk: Characters to read at a time.

    Raises:
        ValueError: If the list breaks off.
    """
    decoder, buffer, at = json.JSONDecoder(), "", 0
    while True:
        at = _past(buffer, at)
        if buffer.startswith("]", at):
            return
        try:
            item, at = decoder.raw_decode(buffer, at)
        except json.JSONDecodeError:
            more = stream.read(chunk)
            if not more:
                raise
            buffer, at = buffer[at:] + more, 0
        else:
            yield item


def _past(buffer: str, at: int) -> int:
    """Where the next object begins: past blanks, commas and the opening bracket."""
    found = _BETWEEN.match(buffer, at)
    return at if found is None else found.end()
