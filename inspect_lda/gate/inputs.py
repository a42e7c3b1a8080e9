"""From what was typed to logs that are read: which file speaks of which behaviour."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from inspect_ai.log import EvalLog

from inspect_lda.errors import LDAError
from inspect_lda.gate.calibrations import TASK, Calibration, read_calibration
from inspect_lda.gate.policy import BehaviourRules
from inspect_lda.gate.report import Check
from inspect_lda.gate.rollouts import LogData, read_log, task_of
from inspect_lda.report.files import log_files, read_header, superseded


@dataclass
class Inputs:
    """The logs of one side, as far as they can be read.

    Attributes:
        headers: Those that can be, by location.
        checks: What became of the others.
    """

    headers: dict[str, EvalLog]
    checks: list[Check] = field(default_factory=list)
    _counted: dict[tuple[str, str | None], LogData] = field(default_factory=dict)

    def of(self, rules: BehaviourRules) -> tuple[LogData, ...]:
        """The logs of a behaviour, each read once for each detector."""
        found = []
        for location, header in self.headers.items():
            if task_of(header) != rules.task:
                continue
            key = (location, rules.detector)
            try:
                if key not in self._counted:
                    self._counted[key] = read_log(location, header, rules.detector)
                found.append(self._counted[key])
            except LDAError as error:
                self.checks.append(unreadable(location, error))
        return tuple(found)

    def calibrations(self) -> list[Calibration]:
        """Logs of the task `judge_calibration`."""
        found = []
        for location, header in self.headers.items():
            if task_of(header) == TASK:
                try:
                    found.append(read_calibration(location, header))
                except LDAError as error:
                    self.checks.append(unreadable(location, error))
        return found

    def unused(self, tasks: Sequence[str]) -> list[Check]:
        """Logs that no behaviour of the policy is about."""
        return [
            Check(
                name="not gated",
                subject=location.rpartition("/")[2],
                status="note",
                found=f"no behaviour of the policy has task: {task_of(header)}",
            )
            for location, header in self.headers.items()
            if task_of(header) not in (*tasks, TASK)
        ]


def open_logs(locations: Sequence[str]) -> Inputs:
    """Read the headers of logs; a folder means all of its logs.

    Raises:
        LDAError: If there is no such file, a folder holds none, or one is named twice.
    """
    files = [file for location in locations for file in log_files(location)]
    twice = sorted({one for one in files if files.count(one) > 1})
    if twice:
        raise LDAError(f"{twice[0]} is given twice; its rollouts would count twice")
    inputs = Inputs({})
    for file in files:
        try:
            inputs.headers[file] = read_header(file)
        except LDAError as error:
            inputs.checks.append(unreadable(file, error))
    for early, late in superseded(inputs.headers).items():
        status = inputs.headers.pop(early).status
        inputs.checks.append(
            Check(
                name="not gated",
                subject=early.rpartition("/")[2],
                status="note",
                found=f"an attempt with status '{status}', resumed and continued by "
                f"{late.rpartition('/')[2]}, which holds its samples",
            )
        )
    return inputs


def unreadable(location: str, error: LDAError) -> Check:
    """A log that cannot be read, or not counted."""
    return Check(
        name="readable",
        subject=location.rpartition("/")[2],
        status="failed",
        found=error.message,
    )
