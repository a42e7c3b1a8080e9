"""A judge's errors, from a log of the task `judge_calibration`."""

from collections import Counter
from dataclasses import dataclass

from inspect_ai.log import EvalLog

from inspect_lda.errors import LDAError
from inspect_lda.report.stream import summaries
from inspect_lda.scorers.calibrated import HIT, UNSCORED
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.misclassified import Judged

TASK = "judge_calibration"
SCORE = "calibrated"
DETECTORS = {
    "misalignment": "misalignment",
    "rules": "rule_judge",
    "compliance": "compliance",
    "criterion": "compliance",
    "refusal": "refusal",
    "behaviour": "behaviour_judge",
}
"""Which detector a judge of that task is."""


@dataclass(frozen=True)
class Calibration:
    """One judge on labelled replies.

    Attributes:
        location: Where the log is.
        header: It, without samples.
        detector: The detector that was measured.
        judged: Its counts.
        unscored: Replies it could not tell.
        asked: All replies.
        repeated: Of these, those that were asked before.
    """

    location: str
    header: EvalLog
    detector: str
    judged: Judged
    unscored: int
    asked: int
    repeated: int


def read_calibration(location: str, header: EvalLog) -> Calibration:
    """Count a calibration.

    Raises:
        LDAError: If it is of no detector, or has no labelled replies of both kinds.
    """
    judge = str((header.eval.metadata or {}).get("judge"))
    if judge not in DETECTORS:
        raise LDAError(
            f"{location}: a calibration of '{judge}', which no detector is. Known: "
            f"{', '.join(DETECTORS)}"
        )
    seen: Counter[tuple[bool, bool]] = Counter()
    ids: Counter[str] = Counter()
    unscored = 0
    try:
        for summary in summaries(location):
            ids[str(summary["id"])] += 1
            score = (summary.get("scores") or {}).get(SCORE)
            expected = (summary.get("metadata") or {}).get("expected")
            if score is None or score["value"] == UNSCORED:
                unscored += 1
            elif expected is not None:
                seen[bool(expected), score["value"] == HIT] += 1
    except Exception as error:  # whatever a foreign file makes the reader raise
        raise LDAError(f"{location}: samples cannot be read ({error})") from error
    try:
        judged = Judged(
            found=Cluster(seen[True, True], seen[True, True] + seen[True, False]),
            false=Cluster(seen[False, True], seen[False, True] + seen[False, False]),
        )
    except LDAError as error:
        raise LDAError(f"{location}: {error.message}") from error
    asked = ids.total()
    return Calibration(
        location, header, DETECTORS[judge], judged, unscored, asked, asked - len(ids)
    )
