"""Ask a grader; a grader that fails is a failure with a reason, never a grade.

With two forms to ask in (reading "auto"), its first reply decides for the whole run: a
log in which one grade is an expectation and the next a single draw would compare two
different things.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspect_ai.model import (
    CachePolicy,
    GenerateConfig,
    Model,
    ModelOutput,
    ModelRefusalError,
    ModelRole,
)
from inspect_ai.util import LimitExceededError

from inspect_lda.errors import LDAError
from inspect_lda.scorers._grading.chain import Undecided
from inspect_lda.scorers._grading.grades import MASS_FLOOR, Channel, Form, Grade, read
from inspect_lda.scorers._grading.roles import bound
from inspect_lda.scorers._grading.rubric import Rubric
from inspect_lda.scorers._grading.weigh import has_alternatives

SHORT = 8
"""Tokens of an answer whose log-probabilities are read: markup and a number."""

ALTERNATIVES = 20
"""As many as the providers give."""


@dataclass
class Grader:
    """The model in a role.

    Attributes:
        role: The role.
        cached: Whether replies are kept by Inspect and used again, whatever the epoch.
    """

    role: ModelRole
    cached: bool = False
    _channels: dict[str, Channel] = field(default_factory=dict)

    async def grade(
        self, forms: Sequence[Form], slots: Mapping[str, str], floor: float = MASS_FLOOR
    ) -> Grade:
        """Ask in the first form; in the second if it gives no log-probabilities.

        Raises:
            Undecided: If no grade can be read.
            LDAError: If no model is bound to the role.
        """
        model = bound(self.role)
        known = self._channels.get(str(model)) if len(forms) > 1 else None
        for form in forms:
            if known is not None and form.channel != known:
                continue
            last = known is not None or form is forms[-1]
            output = await self._try(model, form, slots, last=last)
            if output is None:
                continue
            if self._channels.setdefault(str(model), form.channel) != form.channel:
                break
            return read(output, form, floor)
        raise Undecided(
            "grader_failed", f"{model} gives log-probabilities for some replies only"
        )

    async def ask(
        self, rubric: Rubric, slots: Mapping[str, str], **config: Any
    ) -> ModelOutput:
        """Ask once.

        Raises:
            Undecided: If the grader fails, refuses, or cannot hold the question.
            LDAError: If no model is bound to the role.
        """
        model = bound(self.role)
        policy = CachePolicy(expiry=None, per_epoch=False) if self.cached else None
        # What the user set for the role goes first: a reasoning model's limits, say.
        asked = GenerateConfig(temperature=0.0, cache=policy, **config)
        asked = asked.merge(model.config)
        try:
            output = await model.generate(rubric.fill(slots), config=asked)
        except (LDAError, LimitExceededError, ModelRefusalError):
            raise
        except Exception as error:
            raise Undecided(
                "grader_failed", f"{model} failed: {type(error).__name__}: {error}"
            ) from error
        return _usable(model, output)

    async def _try(
        self, model: Model, form: Form, slots: Mapping[str, str], *, last: bool
    ) -> ModelOutput | None:
        """The reply; None if another form should be tried."""
        if form.channel == "text":
            return await self.ask(form.rubric, slots)
        try:
            output = await self.ask(
                form.rubric,
                slots,
                logprobs=True,
                top_logprobs=ALTERNATIVES,
                max_tokens=SHORT,
            )
        except Undecided:
            if last:
                raise
            return None  # some providers refuse the request instead of ignoring it
        logprobs = output.choices[0].logprobs
        if logprobs is not None and has_alternatives(logprobs.content):
            return output
        if last:
            raise Undecided(
                "grader_failed",
                f"{model} gave no alternatives to its tokens: use reading='text'",
                output.completion,
            )
        return None


def _usable(model: Model, output: ModelOutput) -> ModelOutput:
    stopped = output.choices[0].stop_reason if output.choices else "unknown"
    if output.error or not output.choices or stopped == "content_filter":
        raise Undecided(
            "grader_failed", f"{model} gave no verdict: {output.error or stopped}"
        )
    return output
