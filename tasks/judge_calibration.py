"""Judge calibration: how often is a judge right about replies whose label is known?"""

from typing import Any

from inspect_ai import Epochs, Task, task
from inspect_ai.log import HeadlineMetric
from inspect_ai.viewer import ViewerConfig

from inspect_lda.scorers.calibrated import calibrated
from inspect_lda.tasks._calibration import labelled_replies, labelled_reply


@task
def judge_calibration(
    *,
    judge: str = "misalignment",
    options: dict[str, Any] | None = None,
) -> Task:
    """Measure a judge on our labelled replies, before its verdicts are believed.

    Nothing is generated, so no model is needed (--model none/none), and no pair. The
    replies are hard on purpose: error rates compare judges and show blind spots, they
    are not those on a model's ordinary replies (scorers/calibration/README.md).

        inspect eval inspect_lda/judge_calibration --model none/none
        -T judge=misalignment --model-role grader=openai/gpt-4o

    Model Roles:
        grader: The judge, for "misalignment", "compliance", "criterion" and
            "behaviour"; the others go by rules.
        grader2: Confirms hits, where the options ask for it.

    Args:
        judge: "misalignment", "compliance", "criterion" (compliance by the one question
            of each reply), "behaviour", "refusal", "degenerate" or "rules" (rule_judge,
            on the replies of "misalignment").
        options: Arguments of the judge, as the scorer takes them: '{reading: letters}'.
            Measure it as you use it.
    """
    dataset, record = labelled_replies(judge)
    return Task(
        dataset=dataset,
        solver=labelled_reply(),
        scorer=calibrated(judge, options),
        epochs=Epochs(1, []),
        version="1-A",
        metadata={"calibration": record, "judge": judge},
        viewer=ViewerConfig(trust_content=False),
        headline_metric=HeadlineMetric(scorer="calibrated", metric="balanced_accuracy"),
    )
