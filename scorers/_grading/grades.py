"""A grade: how it is asked for, and how it is read off a grader's reply.

It is read from the log-probabilities of a short answer (`weigh`), or from the text of a
longer one (`reply`). What cannot be read is a failure with a reason, never a grade.
"""

from dataclasses import dataclass
from typing import Any, Literal

from inspect_ai.model import ModelOutput

from inspect_lda.scorers._grading.chain import Undecided
from inspect_lda.scorers._grading.reply import grade_in
from inspect_lda.scorers._grading.rubric import Rubric
from inspect_lda.scorers._grading.scales import Scale
from inspect_lda.scorers._grading.weigh import weigh

Channel = Literal["logprobs", "text"]

MASS_FLOOR = 0.25
"""Less read probability than this is no grade (Betley et al., arXiv:2502.17424)."""


@dataclass(frozen=True)
class Form:
    """One way to ask for a grade.

    Attributes:
        channel: Where the grade is read.
        rubric: What is asked.
        scale: What may be answered.
    """

    channel: Channel
    rubric: Rubric
    scale: Scale


@dataclass(frozen=True)
class Grade:
    """A grade that could be read.

    Attributes:
        value: The number.
        channel: Where it was read.
        reply: What the grader said.
        mass: Read probability; 1 for a text.
        lower: The least the value could be, were all unread mass known.
        upper: The most it could be.
    """

    value: float
    channel: Channel
    reply: str
    mass: float = 1.0
    lower: float | None = None
    upper: float | None = None

    def facts(self, name: str) -> dict[str, Any]:
        """For Score.metadata, under a name."""
        facts: dict[str, Any] = {name: self.value, f"{name}_reply": self.reply}
        if self.channel == "logprobs":
            bounds = [self.lower, self.upper]
            facts |= {f"{name}_mass": self.mass, f"{name}_bounds": bounds}
        return facts


def read(output: ModelOutput, form: Form, floor: float = MASS_FLOOR) -> Grade:
    """Read the grade of a reply.

    Args:
        output: The grader's.
        form: How it was asked.
        floor: Least probability that has to be read.

    Raises:
        Undecided: If there is none.
    """
    reply, choice = output.completion, output.choices[0]
    cut = choice.stop_reason in ("max_tokens", "model_length")
    said = grade_in(reply, form.scale)
    if form.channel == "text":
        if said is None:
            raise Undecided("grader_unparsed", _unparsed(form.scale, cut=cut), reply)
        return Grade(form.scale.values[said], "text", reply)
    try:
        content = choice.logprobs.content if choice.logprobs else []
        weighed = weigh(content, form.scale, said, cut=cut)
    except ValueError as error:
        raise Undecided("grader_failed", str(error), reply) from error
    if weighed.mean is None or weighed.mass < floor:
        raise Undecided(
            "grader_mass",
            f"grades hold {weighed.mass:.0%} of the probability, less than {floor:.0%}",
            reply,
        )
    return Grade(
        value=weighed.mean,
        channel="logprobs",
        reply=reply,
        mass=weighed.mass,
        lower=weighed.lower,
        upper=weighed.upper,
    )


def _unparsed(scale: Scale, *, cut: bool) -> str:
    answers = list(scale.values)
    said = f"the reply gives no single grade from {answers[0]} to {answers[-1]}"
    hint = "; it was cut off: give the role more max_tokens" if cut else ""
    return f"{said}{hint}"
