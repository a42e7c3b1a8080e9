"""One checkpoint after the other: calibrate, evaluate, forget its weights.

Each is an Inspect eval set of one task in a common log folder. What a run was killed in
is resumed by Inspect from the samples that were done, what is finished is not run
again, and its calibration is read from its file. `before` is loaded once: weights that
only a finished checkpoint has are forgotten, those of `before` stay.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspect_lda.errors import LDAError
from inspect_lda.monitor.series import Stage

if TYPE_CHECKING:
    from inspect_lda.calibration.found import Calibration

CALIBRATIONS = "calibrations"
ATTEMPTS = 2


@dataclass(frozen=True)
class Done:
    """A checkpoint that was evaluated.

    Attributes:
        stage: The checkpoint.
        alpha: The alpha that the budget buys; None if nothing can be amplified.
        log: Where its log is; None if it could not be finished.
        why: Why there is no alpha, or no log.
    """

    stage: Stage
    alpha: float | None
    log: str | None
    why: str | None = None


@dataclass
class Monitor:
    """What is done to every checkpoint.

    Attributes:
        folder: Logs and calibrations.
        task: The task, as `inspect eval` takes it.
        task_args: Its arguments, without alphas.
        model_args: `-M`, without before and alpha.
        before: The checkpoint that all are compared with; None if it follows.
        kl_budget: Nats a token between the amplified model and the checkpoint.
        prompts: How many prompts a calibration asks.
        display: Inspect's display.
        say: Told what is being done.
    """

    folder: Path
    task: str = "inspect_lda/compliance_drift"
    task_args: Mapping[str, Any] = field(default_factory=dict)
    model_args: Mapping[str, Any] = field(default_factory=dict)
    before: str | None = None
    kl_budget: float = 0.5
    prompts: int = 32
    display: str = "plain"
    say: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        if "alphas" in self.task_args:
            raise LDAError(
                "-T alphas: the monitor finds alpha for each checkpoint, by --kl-budget"
            )

    def run(self, stage: Stage) -> Done:
        """Evaluate one checkpoint, or find that it is done."""
        found = self._calibration(stage)
        if found.alpha is None:
            return Done(stage, None, None, f"nothing to amplify: {found.invalid}")
        log = self._evaluate(stage, found.alpha)
        why = None if log else "its eval was not finished; run again to resume it"
        return Done(stage, found.alpha, log, why)

    def _calibration(self, stage: Stage) -> "Calibration":
        """Read from its file, or made and written."""
        from inspect_lda.calibration.found import read, write
        from inspect_lda.calibration.session import Session

        path = self.folder / CALIBRATIONS / f"{_file_name(stage.after)}.json"
        session = Session(stage.after, self._args(), {"kl_budget": self.kl_budget})
        if path.exists():
            found = read(path)
            if found.settings == session.settings:
                return found
            raise LDAError(
                f"{path} was made with other settings ({found.settings}). Give another "
                "--log-dir, or the same --kl-budget"
            )
        self.say(f"{stage.name}: looking for alpha")
        found = asyncio.run(session.run("builtin:everyday", self.prompts))
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: a run may be killed here.
        draft = path.with_suffix(".part")
        write(found, draft)
        draft.replace(path)
        return found

    def _evaluate(self, stage: Stage, alpha: float) -> str | None:
        """The log of a checkpoint; None if it could not be finished."""
        from inspect_ai import eval_set
        from inspect_ai.model import get_model

        self.say(f"{stage.name}: alpha 0 and {alpha:g}")
        try:
            with get_model(f"lda/{stage.after}", memoize=False, **self._args()) as pair:
                success, logs = eval_set(
                    self.task,
                    log_dir=str(self.folder),
                    log_dir_allow_dirty=True,
                    retry_attempts=ATTEMPTS,
                    model=pair,
                    task_args={**self.task_args, "alphas": [0.0, alpha]},
                    metadata={"monitor": {"stage": stage.name, "alpha": alpha}},
                    display=self.display,  # type: ignore[arg-type]
                )
        finally:
            self._forget(stage)
        return logs[0].location if success else None

    def _forget(self, stage: Stage) -> None:
        from inspect_lda.options import read_model
        from inspect_lda.pair import PairSpec, forget_after

        after, options = read_model(stage.after, self._args())
        forget_after(PairSpec(after=after, **options.pair_fields()))

    def _args(self) -> dict[str, Any]:
        before = {} if self.before is None else {"before": self.before}
        return {**self.model_args, **before}


def _file_name(after: str) -> str:
    return re.sub(r"[^\w.@-]+", "-", after).strip("-")
