"""Which logs are meant by what was typed, and which of them are earlier attempts.

An eval set that was killed leaves its log behind, with status "started", beside the
one of the attempt that resumed it: Inspect cannot know that nobody writes to it any
more. The later attempt begins with the samples of the earlier, so that only the later
one counts, unless it lacks some.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log

from inspect_lda.errors import LDAError
from inspect_lda.report.stream import summaries


def log_files(location: str) -> list[str]:
    """The logs that a file, an address or a folder stands for, the oldest first.

    Raises:
        LDAError: If there is no such file or folder, or the folder holds no log.
    """
    path = Path(location.removeprefix("file://")).expanduser()
    if "://" in location and not location.startswith("file://"):
        return [location]
    if path.is_file():
        return [str(path)]
    if not path.is_dir():
        raise LDAError(f"{path}: no such file or folder")
    found = [log.name for log in list_eval_logs(str(path), descending=False)]
    if not found:
        raise LDAError(f"{path}: no Inspect log in this folder")
    return [name.removeprefix("file://") for name in found]


def read_header(location: str) -> EvalLog:
    """A log without its samples.

    Raises:
        LDAError: If it is no log that can be read.
    """
    try:
        return read_eval_log(location, header_only=True)
    except Exception as error:  # whatever a foreign file makes the reader raise
        raise LDAError(f"{location}: not a readable Inspect log ({error})") from error


def superseded(headers: Mapping[str, EvalLog]) -> dict[str, str]:
    """Attempts that did not finish and were resumed, each with the attempt that counts.

    Args:
        headers: Logs by location.

    Returns:
        Locations of logs that another of `headers` continues: the same task id, later,
        with every sample that the earlier one finished. A finished log is never among
        them, whatever was run after it.
    """
    last: dict[str, str] = {}
    for location, header in sorted(
        headers.items(), key=lambda one: one[1].eval.created
    ):
        last[header.eval.task_id] = location
    found = {}
    for location, header in headers.items():
        newest = last[header.eval.task_id]
        if header.status == "success" or newest == location:
            continue
        early, late = _finished(location), _finished(newest)
        if early is not None and late is not None and early <= late:
            found[location] = newest
    return found


def without_superseded(files: Sequence[str]) -> list[str]:
    """Files that count; one that cannot be read stays, to be refused by its reader."""
    headers = {}
    for file in files if len(files) > 1 else ():
        try:
            headers[file] = read_header(file)
        except LDAError:
            continue
    gone = superseded(headers)
    return [file for file in files if file not in gone]


def _finished(location: str) -> set[str | None] | None:
    """Samples that ended without an error, by uuid; None if they cannot be read."""
    try:
        known = [one for one in summaries(location) if one.get("completed")]
    except Exception:  # as above; whoever reads the log then says what is wrong
        return None
    return {one.get("uuid") for one in known if not one.get("error")}
