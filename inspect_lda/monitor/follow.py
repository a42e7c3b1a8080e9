"""The loop over a series that may still be growing, and what it leaves behind."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspect_lda.monitor.run import Done, Monitor
from inspect_lda.monitor.series import Stage, find_series

if TYPE_CHECKING:
    from inspect_lda.report.series import Series, Track
    from inspect_lda.report.summary import Summary

SETTLED = 10.0
"""Seconds without a write after which a checkpoint counts as complete."""
RESULT = "series.json"


def stages(
    spec: str, *, watch: bool, poll: float, idle: float, say: Callable[[str], None]
) -> Iterator[Stage]:
    """The checkpoints of a series in order, new ones as they appear.

    Args:
        spec: See `monitor.series`.
        watch: Whether to wait for more.
        poll: Seconds between two looks.
        idle: Seconds without a new checkpoint after which it ends.
        say: Told that it waits.
    """
    if not watch:
        yield from find_series(spec)
        return
    seen: set[str] = set()
    last = time.monotonic()
    while time.monotonic() - last < idle:
        found = find_series(spec, settled=time.time() - SETTLED)
        fresh = [stage for stage in found if stage.after not in seen]
        for stage in fresh:
            seen.add(stage.after)
            yield stage
            last = time.monotonic()
        if not fresh:
            say(f"{len(seen)} checkpoints so far, waiting for more")
            time.sleep(poll)


def follow(
    monitor: Monitor, coming: Iterator[Stage], show: Callable[["Series"], None]
) -> "tuple[list[Done], Series | None]":
    """Evaluate what comes, and bring the results up to date after each.

    Args:
        monitor: What is done to a checkpoint.
        coming: The checkpoints.
        show: Given the series so far, whenever it has grown.

    Returns:
        What became of each checkpoint, and the finished ones as a series; None without
        any.
    """
    from inspect_lda.report.loading import load
    from inspect_lda.report.series import series_of
    from inspect_lda.report.summary import summarise

    done: list[Done] = []
    found: list[Summary] = []
    whole: Series | None = None
    for stage in coming:
        last = monitor.run(stage)
        done.append(last)
        if last.why is not None:
            monitor.say(f"{stage.name}: {last.why}")
        if last.log is not None:
            found.append(summarise(load(last.log)))
            whole = series_of(found)
            write_result(whole, done, monitor.folder / RESULT)
            show(whole)
    return done, whole


def write_result(series: "Series", done: Sequence[Done], path: Path) -> None:
    """The series as JSON, for programs."""
    content = {
        "schema": "inspect_lda.series/1",
        "checkpoints": list(series.names),
        "steps": series.steps,
        "before": {"k": series.baseline.k, "n": series.baseline.n},
        "tracks": [_track(series, track) for track in series.tracks],
        "left_out": {one.stage.name: one.why for one in done if one.log is None},
    }
    draft = path.with_suffix(".part")
    draft.write_text(f"{json.dumps(content, indent=1)}\n", encoding="utf-8")
    draft.replace(path)


def _track(series: "Series", track: "Track") -> dict[str, Any]:
    points = [
        {
            "alpha": row.alpha,
            "k": row.k,
            "n": row.n,
            "lower": row.exact.lower,
            "upper": row.exact.upper,
            "p": look.p,
            "adjusted_p": look.adjusted,
        }
        for row, look in zip(track.rows, track.looks, strict=True)
    ]
    onset = None if track.onset is None else series.names[track.onset]
    rise = None if track.trend is None else track.trend._asdict()
    return {"name": track.name, "onset": onset, "trend": rise, "points": points}
