"""What a gate says: the verdict and everything it rests on, as values that are frozen.

The JSON output is this model; `gate-report.schema.json` beside it is its JSON schema.
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from inspect_lda.calibration.result import Frozen

ReportSchema = Literal["inspect_lda.gate_report/1"]
SCHEMA: ReportSchema = "inspect_lda.gate_report/1"

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID"]
Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE"]
Rule = Literal["max_rate", "max_hits", "baseline", "true_rate"]

EXIT_CODES: dict[Verdict, int] = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}
"""2 is a wrong command or policy: there is no verdict then."""


class Check(Frozen):
    """Something that must be so before a log is believed.

    Attributes:
        name: What was looked at.
        subject: Which behaviour or log.
        status: "ok", "failed", or "note": worth knowing, and no reason to refuse.
        found: What was found, and what to do about it if it failed.
    """

    name: str
    subject: str
    status: Literal["ok", "failed", "note"]
    found: str


class Decision(Frozen):
    """One rule, applied to one behaviour at one alpha.

    Attributes:
        behaviour: Which.
        rule: Which.
        alpha: At which amplification; None for the model's own rate.
        outcome: What the data say.
        k: Hits that count; None where nothing was counted.
        n: Rollouts, hits or not; None likewise.
        rate: Estimate, corrected for the judge's errors if the policy asks for that.
        lower: The rate is above this, at the confidence of the policy.
        upper: The rate is below this, likewise.
        limit: What `upper` must not exceed for a PASS.
        ok: What `lower` must exceed for a FAIL.
        p: P value of the FAIL claim; None where no test is behind it.
        adjusted: The same, corrected for all FAIL claims of this gate.
        missing: About how many more rollouts (of prompts like these: prompts), if they
            look like these, until there is an answer; None if there is one, or if no
            number would do.
        unit: What `missing` counts.
        coherent_share: Of the rollouts.
        said: The same in a sentence.
    """

    behaviour: str
    rule: Rule
    alpha: float | None
    outcome: Outcome
    k: int | None = None
    n: int | None = None
    rate: float | None = None
    lower: float | None = None
    upper: float | None = None
    limit: float
    ok: float | None = None
    p: float | None = None
    adjusted: float | None = None
    missing: int | None = None
    unit: Literal["rollouts", "prompts"] = "rollouts"
    coherent_share: float | None = None
    said: str


class Part(Frozen):
    """A stretch of a completion; `decisive` times likelier than at alpha 0."""

    text: str
    decisive: float | None = None


class Transcript(Frozen):
    """A hit to read.

    Attributes:
        behaviour: Which.
        log: File name of its log.
        sample_id: To find it in `inspect view`.
        epoch: Likewise.
        alpha: Amplification.
        prompt: The user's turn.
        reply: The completion, cut at its decisive tokens.
        coherent: By the limits of the run; None without evidence.
    """

    behaviour: str
    log: str
    sample_id: str
    epoch: int
    alpha: float
    prompt: str
    reply: tuple[Part, ...]
    coherent: bool | None


class Detection(Frozen):
    """Whether this budget would have caught a planted pair.

    Attributes:
        behaviour: Which.
        plant: The planted pair.
        dose: How often it shows the behaviour unamplified.
        chance: At least so likely this gate's rollouts would have held a hit.
        alpha: Where it is likeliest.
        caught: Whether that chance reaches the confidence of the policy.
    """

    behaviour: str
    plant: str
    dose: float
    chance: float
    alpha: float
    caught: bool


class Source(Frozen):
    """One log.

    Attributes:
        role: What it was given as.
        location: Where it was read.
        task: Name.
        task_version: As the log says.
        model: The pair, as Inspect names it.
        after: `after`, with its revision if known; None without evidence.
        before: The same of `before`.
        created: When the eval was begun.
        samples: Rollouts that were counted.
        prompts_sha256: Of the prompt set.
        packages: Versions of what ran.
        graders: Models that judged, by role.
    """

    role: Literal["candidate", "baseline", "planted", "calibration"]
    location: str
    task: str
    task_version: str
    model: str
    after: str | None = None
    before: str | None = None
    created: str = ""
    samples: int = 0
    prompts_sha256: str | None = None
    packages: dict[str, str] = Field(default_factory=dict)
    graders: dict[str, str] = Field(default_factory=dict)


class GateReport(Frozen):
    """Everything a gate says.

    Attributes:
        schema_: Name and version of this form.
        version: Of inspect_lda.
        verdict: The verdict.
        exit_code: What the command exits with.
        headline: The verdict in a sentence.
        policy: The policy's name.
        policy_sha256: Of what it says.
        confidence: Of every PASS, and of all FAILs together.
        estimand: Whether rates are of these prompts or of prompts like these.
        checks: What was looked at first.
        decisions: What was decided.
        detections: Planted pairs that this budget would, or would not, have caught.
        transcripts: Hits to read.
        sources: The logs.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    schema_: ReportSchema = Field(default=SCHEMA, alias="schema")
    version: str
    verdict: Verdict
    exit_code: int
    headline: str
    policy: str
    policy_sha256: str
    confidence: float
    estimand: Literal["prompt_set", "population"]
    checks: tuple[Check, ...]
    decisions: tuple[Decision, ...]
    detections: tuple[Detection, ...] = ()
    transcripts: tuple[Transcript, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that make the verdict INVALID."""
        return tuple(check for check in self.checks if check.status == "failed")

    def json_text(self) -> str:
        """As JSON, in the form of the schema."""
        return self.model_dump_json(by_alias=True, indent=2)


def report_schema() -> dict[str, Any]:
    """The JSON schema of a report."""
    schema = GateReport.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
