"""Where a report's numbers come from."""

from collections.abc import Sequence
from typing import Literal

from inspect_lda.gate.attest import Attested
from inspect_lda.gate.calibrations import Calibration
from inspect_lda.gate.protocol import prompts_of
from inspect_lda.gate.report import Source
from inspect_lda.gate.rollouts import LogData, task_of


def source(
    role: Literal["candidate", "baseline", "planted"],
    log: LogData,
    attested: Sequence[Attested],
) -> Source:
    """A log of rollouts."""
    spec = log.header.eval
    pair = attested[0] if attested else None
    return Source(
        role=role,
        location=log.location,
        task=log.task,
        task_version=str(spec.task_version),
        model=log.model,
        after=pair.after if pair else None,
        before=pair.before if pair else None,
        created=spec.created,
        samples=len(log.rollouts),
        prompts_sha256=prompts_of(log),
        packages=dict(spec.packages),
        graders={role: ", ".join(sorted(m)) for role, m in sorted(log.graders.items())},
    )


def calibration_source(found: Calibration) -> Source:
    """A log of labelled replies."""
    spec = found.header.eval
    judged = found.judged
    models = (spec.model_roles or {}).items()
    return Source(
        role="calibration",
        location=found.location,
        task=task_of(found.header),
        task_version=str(spec.task_version),
        model=spec.model,
        created=spec.created,
        samples=int(judged.found.n + judged.false.n),
        packages=dict(spec.packages),
        graders={r: m.model for r, m in models if not isinstance(m, list)},
    )
