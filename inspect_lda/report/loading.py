"""Getting a log that can be reported on, or saying why there is none."""

from collections.abc import Sequence
from pathlib import Path

from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log

from inspect_lda.errors import LDAError


def load(location: str) -> EvalLog:
    """Read a finished log with its samples; a folder means its newest log.

    Raises:
        LDAError: If there is no log, it is none, it did not finish, or it was written
            without samples.
    """
    path = _resolve(location)
    try:
        log = read_eval_log(path)
    except Exception as error:  # whatever a foreign file makes the reader raise
        raise LDAError(f"{path}: not a readable Inspect log ({error})") from error
    if log.status != "success":
        why = f": {log.error.message}" if log.error else ""
        raise LDAError(
            f"{path}: the eval ended with status '{log.status}'{why}. Report on a "
            f"finished log; `inspect eval-retry {path}` resumes this one"
        )
    if not log.samples:
        raise LDAError(
            f"{path}: holds no samples (was it run with --no-log-samples?); a report "
            "counts them"
        )
    return log


def load_all(locations: Sequence[str]) -> list[EvalLog]:
    """Read finished logs; a folder means all of its logs.

    Raises:
        LDAError: As `load` does, and if there are none.
    """
    files: list[str] = []
    for location in locations:
        path = Path(location).expanduser()
        if "://" in location or not path.is_dir():
            files.append(location)
            continue
        found = [log.name for log in list_eval_logs(str(path), descending=False)]
        if not found:
            raise LDAError(f"{path}: no Inspect log in this folder")
        files += found
    return [load(file) for file in files]


def _resolve(location: str) -> str:
    if "://" in location:
        return location
    path = Path(location).expanduser()
    if path.is_dir():
        logs = list_eval_logs(str(path))
        if not logs:
            raise LDAError(f"{path}: no Inspect log in this folder")
        return max(logs, key=lambda log: log.mtime or 0.0).name
    if not path.is_file():
        raise LDAError(f"{path}: no such file or folder")
    return str(path)
