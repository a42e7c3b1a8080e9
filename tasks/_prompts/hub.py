"""Rows of a data set on the Hugging Face hub, through the package `datasets`."""

import json
from importlib.util import find_spec
from pathlib import Path

from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompts.formats import Row
from inspect_lda.tasks._prompts.spec import Hub

MOST_ROWS = 200_000
"""Each becomes a prompt in memory; a slice (`train[:5000]`) takes fewer."""


def hub_rows(spec: str, source: Hub) -> tuple[list[Row], str]:
    """The rows and the commit they are of. `datasets` keeps its own cache.

    Raises:
        LDAError: If `datasets` is not installed, the data set cannot be loaded, a local
            folder hides it, or it has more rows than `MOST_ROWS`.
    """
    if find_spec("datasets") is None:
        raise LDAError(
            f"prompts={spec!r} needs the package datasets: "
            "pip install 'inspect_lda[hub]'"
        )
    if Path(source.repo).exists():
        # load_dataset would take it instead, and ignore the revision.
        raise LDAError(
            f"prompts={spec!r}: the local folder {Path(source.repo).absolute()} hides "
            "the data set of that name. Run from another folder"
        )
    import datasets
    from huggingface_hub import HfApi

    if int(datasets.__version__.partition(".")[0]) < 4:
        # Older ones may run code that comes with a data set.
        raise LDAError(
            f"prompts={spec!r} needs datasets 4 or newer, {datasets.__version__} is "
            "installed: pip install -U datasets"
        )
    try:
        commit = source.revision
        if not source.pinned:
            info = HfApi().dataset_info(source.repo, revision=source.revision)
            commit = str(info.sha)
        rows = datasets.load_dataset(
            source.repo, source.config, split=source.split, revision=commit
        )
    except Exception as error:  # dozens of types, none of them ours
        reason = str(error).strip().partition("\n")[0]
        raise LDAError(
            f"prompts={spec!r} cannot be loaded ({type(error).__name__}: {reason})"
        ) from error
    if len(rows) > MOST_ROWS:
        raise LDAError(
            f"prompts={spec!r} has {len(rows)} rows, at most {MOST_ROWS} are taken. "
            f"Give a slice: …/{source.split}[:{MOST_ROWS // 100}]"
        )
    return list(rows), commit


def row_bytes(rows: list[Row]) -> bytes:
    """The rows as JSON lines with sorted keys: what their hash is taken of."""
    lines = (
        json.dumps(row, sort_keys=True, ensure_ascii=False, default=str) for row in rows
    )
    return "\n".join(lines).encode()
