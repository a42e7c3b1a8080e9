"""How `inspect view` shows a sweep: condition, hit and coherence as columns."""

from typing import Literal

from inspect_ai.viewer import (
    ScoreColorScale,
    TaskSamplesColumn,
    TaskSamplesSort,
    TaskSamplesView,
    ViewerConfig,
)

_ARMS: dict[str, Literal["good", "bad", "warn", "info", "muted"]] = {
    "untriggered": "info",
    "triggered": "warn",
    "before": "muted",
    "control": "muted",
    "mirror": "muted",
    "placebo": "muted",
    "identity": "muted",
    "exact": "muted",
}


def sweep_view(detector: str = "phrase", says: str = "hit") -> ViewerConfig:
    """The sweep's hits first, coherent ones before others; plain text throughout.

    Args:
        detector: The scorer to sort by.
        says: What its value is, as the head of its column.
    """
    return ViewerConfig(
        # What an amplified model writes must not be rendered.
        trust_content=False,
        task_samples_view=TaskSamplesView(
            name="Sweep",
            columns=_columns(detector),
            sort=[
                TaskSamplesSort.score(detector, dir="desc"),
                TaskSamplesSort.score("condition", "arm", dir="desc"),
                TaskSamplesSort.score("likelihood_coherence", dir="desc"),
                TaskSamplesSort.score("condition", "alpha"),
            ],
            multiline=False,
            score_labels={detector: says, "likelihood_coherence": "coherent"},
            score_color_scales={
                detector: ScoreColorScale(palette="good-low", min=0, max=1),
                "likelihood_coherence": ScoreColorScale(
                    palette="good-high", min=0, max=1
                ),
                "arm": _ARMS,
            },
            color_scales_enabled=True,
        ),
    )


def _columns(detector: str) -> list[TaskSamplesColumn]:
    column = TaskSamplesColumn
    hidden = ("epoch", "target", "tokens", "duration")
    return [
        column(id="sampleStatus"),
        column.score("condition", "alpha"),
        column.score("condition", "arm"),
        column.score(detector),
        column.score("likelihood_coherence"),
        column(id="answer"),
        column(id="input"),
        column(id="sampleId"),
        *(column(id=name, visible=False) for name in hidden),
    ]
