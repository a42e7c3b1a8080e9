"""What a release must show: the policy, checked before any log is read.

Every model is strict: a key that is not known here is an error, since a limit that is
misspelt would be a limit that does not hold.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Schema = Literal["inspect_lda.gate/1"]
SCHEMA: Schema = "inspect_lda.gate/1"

Rate = Annotated[float, Field(ge=0, le=1)]
Version = Annotated[str, Field(pattern=r"^\d+(\.\d+)*")]
Share = Annotated[float, Field(gt=0, le=1)]
Arm = Literal[
    "triggered", "before", "harmless", "control", "mirror", "placebo", "identity"
]
Counted = Literal["coherent", "all", "new"]
Estimand = Literal["prompt_set", "population"]


class Strict(BaseModel):
    """Values that do not change, under keys that are known."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class LogRules(Strict):
    """What a log must be before it is counted.

    Attributes:
        min_completed: Least share of the planned samples that ran without an error.
        max_unscored: Most rollouts of one arm and alpha without a score, as a share.
        self_test: Whether the pair's self-test must have been made and passed.
        min_versions: Least versions of packages, as logs record them.
    """

    min_completed: Share = 1.0
    max_unscored: Rate = 0.02
    self_test: bool = True
    min_versions: dict[str, Version] = Field(default_factory=dict)


class PairRules(Strict):
    """Which two checkpoints are meant; what is left out is not asked.

    Attributes:
        after: The release candidate, as logs name it.
        before: The checkpoint before training, likewise.
        pinned: Whether both must be known by commit (`name@0123…`, 40 digits).
    """

    after: str | None = None
    before: str | None = None
    pinned: bool = False


class BaselineRules(Strict):
    """Against the logs of another release, prompt by prompt.

    Attributes:
        max_increase: The rate may be higher by so much; a difference that is certain
            and not certainly within this fails.
    """

    max_increase: Share


class TrueRateRules(Strict):
    """The model's own rate, where it was measured.

    Attributes:
        max_rate: The budget.
    """

    max_rate: Share


class ControlRules(Strict):
    """What an arm must show, by its counts; at least one of these is asked.

    Attributes:
        min_rate: Least share of hits (a positive control).
        max_rate: Most share of hits.
        max_hits: Most hits.
        min_equal: Least share of texts that are those of alpha 0 (arm identity).
        min_rollouts: Fewer rollouts are no control.
    """

    min_rate: Rate | None = None
    max_rate: Rate | None = None
    max_hits: Annotated[int, Field(ge=0)] | None = None
    min_equal: Share | None = None
    min_rollouts: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        asked = (self.min_rate, self.max_rate, self.max_hits, self.min_equal)
        if all(one is None for one in asked):
            raise ValueError(
                "asks nothing: give min_rate, max_rate, max_hits or min_equal"
            )
        if self.min_equal is not None and any(one is not None for one in asked[:3]):
            raise ValueError("min_equal compares texts: no hits beside it")
        return self


class JudgeRules(Strict):
    """A judge's own errors, from a log of the task `judge_calibration`.

    Attributes:
        min_sensitivity: Lower bound of its sensitivity must reach this.
        min_specificity: Lower bound of its specificity must reach this.
        correct: Whether rates are corrected for its errors (Rogan and Gladen).
        confirmed: Whether every hit must have been confirmed by a second grader.
    """

    min_sensitivity: Rate | None = None
    min_specificity: Rate | None = None
    correct: bool = False
    confirmed: bool = False

    @property
    def measured(self) -> bool:
        """Whether a calibration is needed."""
        asked = (self.min_sensitivity, self.min_specificity)
        return self.correct or any(one is not None for one in asked)


class BehaviourRules(Strict):
    """One behaviour: where it is counted, and how often it may show.

    Attributes:
        name: In reports; the task's name if left out.
        task: Name of the Inspect task, without its package.
        task_version: As the log must have it: "1-A", or "1" for any letter.
        detector: The score that counts; the task's own if left out.
        prompts_sha256: Of the prompt set, as the log records it.
        alphas: "all" of the sweep from 0 up, or those that must be there.
        count: "coherent" hits, "all", or those that are "new" with the training.
        max_rate: A rate above this is not acceptable.
        ok_rate: A rate up to this is; `max_rate` if left out.
        max_hits: One more fails at once, however many rollouts there were.
        min_coherent: Least share of coherent rollouts at an alpha that is counted.
        baseline: Against another release.
        true_rate: Against a budget of the model's own rate.
        controls: What other arms must show.
        judge: A judge's errors.
    """

    name: str | None = None
    task: str
    task_version: str | None = None
    detector: str | None = None
    prompts_sha256: str | None = None
    alphas: Literal["all"] | tuple[float, ...] = "all"
    count: Counted = "coherent"
    max_rate: Annotated[float, Field(gt=0, lt=1)]
    ok_rate: Rate | None = None
    max_hits: Annotated[int, Field(ge=0)] | None = None
    min_coherent: Rate = 0.5
    baseline: BaselineRules | None = None
    true_rate: TrueRateRules | None = None
    controls: dict[Arm, ControlRules] = Field(default_factory=dict)
    judge: JudgeRules | None = None

    @property
    def label(self) -> str:
        """What reports call it."""
        return self.name or self.task

    @property
    def ok(self) -> float:
        """The rate above which it fails."""
        return self.max_rate if self.ok_rate is None else self.ok_rate

    @model_validator(mode="after")
    def _texts_are_of_identity(self) -> Self:
        for arm, rules in self.controls.items():
            if rules.min_equal is not None and arm != "identity":
                raise ValueError(f"controls.{arm}: min_equal is for arm identity alone")
        return self

    @model_validator(mode="after")
    def _can_be_decided(self) -> Self:
        if self.ok > self.max_rate:
            raise ValueError(
                f"ok_rate={self.ok_rate:g} is above max_rate={self.max_rate:g}: a rate "
                "between them would both pass and fail"
            )
        if self.alphas != "all" and len(set(self.alphas)) < 2:
            raise ValueError(
                f"alphas={list(self.alphas)} holds fewer than two: a rate may fall as "
                "alpha grows, so sweep (e.g. [0, 0.5, 1])"
            )
        return self


class Policy(Strict):
    """The whole policy.

    Attributes:
        schema_: Name and version of this form.
        name: In reports.
        confidence: Of every PASS, and of all FAILs together.
        estimand: "prompt_set" (these prompts) or "population" (prompts like these).
        multiplicity: How many FAIL claims share one error: "holm", or "none".
        logs: What logs must be.
        pair: Which pair is meant.
        behaviours: What is gated.
        plants: True rates of planted pairs by model name, for the limit of detection.
    """

    schema_: Schema = Field(alias="schema")
    name: str = "release gate"
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    estimand: Estimand = "prompt_set"
    multiplicity: Literal["holm", "none"] = "holm"
    logs: LogRules = Field(default_factory=LogRules)
    pair: PairRules = Field(default_factory=PairRules)
    behaviours: tuple[BehaviourRules, ...] = Field(min_length=1)
    plants: dict[str, Rate] = Field(default_factory=dict)

    @property
    def error(self) -> float:
        """What is left of the confidence."""
        return 1 - self.confidence

    @model_validator(mode="before")
    @classmethod
    def _names_its_version(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and not {"schema", "schema_"} & set(value):
            raise ValueError(f"has no 'schema': put 'schema: {SCHEMA}' first")
        return value

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        labels = [one.label for one in self.behaviours]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(
                f"behaviours named {twice[0]!r} more than once: give each a name"
            )
        return self
