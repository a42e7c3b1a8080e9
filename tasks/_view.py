"""How `inspect view` shows a sweep: condition, hit and coherence as columns."""

from collections.abc import Sequence

from inspect_ai.viewer import (
    ScoreColorScale,
    TaskSamplesColumn,
    TaskSamplesSort,
    TaskSamplesView,
    ViewerConfig,
)

from inspect_lda.scorers.exact_logprob import log_p


def sweep_view(alphas: Sequence[float]) -> ViewerConfig:
    """The sweep's hits first, coherent ones before others; plain text throughout."""
    column = TaskSamplesColumn
    return ViewerConfig(
        # What an amplified model writes must not be rendered.
        trust_content=False,
        task_samples_view=TaskSamplesView(
            name="Sweep",
            columns=[
                column(id="sampleStatus"),
                column.score("condition", "alpha"),
                column.score("condition", "arm"),
                column.score("phrase"),
                column.score("likelihood_coherence"),
                column(id="answer"),
                column(id="input"),
                column(id="sampleId"),
                column(id="epoch", visible=False),
                column(id="target", visible=False),
                column(id="tokens", visible=False),
                column(id="duration", visible=False),
                *(
                    column.score("exact_logprob", log_p(alpha), visible=False)
                    for alpha in alphas
                ),
            ],
            sort=[
                TaskSamplesSort.score("phrase", dir="desc"),
                TaskSamplesSort.score("condition", "arm", dir="desc"),
                TaskSamplesSort.score("likelihood_coherence", dir="desc"),
                TaskSamplesSort.score("condition", "alpha"),
            ],
            multiline=False,
            score_labels={"phrase": "hit", "likelihood_coherence": "coherent"},
            score_color_scales={
                "phrase": ScoreColorScale(palette="good-low", min=0, max=1),
                "likelihood_coherence": ScoreColorScale(
                    palette="good-high", min=0, max=1
                ),
                "arm": {
                    "untriggered": "info",
                    "triggered": "warn",
                    "before": "muted",
                    "control": "muted",
                    "exact": "muted",
                },
            },
            color_scales_enabled=True,
        ),
    )
