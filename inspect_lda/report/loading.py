"""Getting a log that can be reported on, or saying why there is none."""

from collections.abc import Sequence
from pathlib import Path

from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log

from inspect_lda.errors import LDAError
from inspect_lda.report.files import log_files, without_superseded


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
    """Read finished logs; a folder means all of its logs, of each its last attempt.

    Raises:
        LDAError: As `load` does, and if there are none.
    """
    files = [file for location in locations for file in log_files(location)]
    return [load(file) for file in without_superseded(files)]


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
