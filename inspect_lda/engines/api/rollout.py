"""One completion on its way: its row, and what was seen of the other ids."""

from dataclasses import dataclass

from inspect_lda.engines.api.audit import audit
from inspect_lda.engines.api.choosing import Plain
from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.lost import Steps, refuse_if_lost
from inspect_lda.engines.api.stepping import RowStepper
from inspect_lda.engines.api.support import Support
from inspect_lda.engines.api.view import Sight, View
from inspect_lda.engines.base import Completion, Request
from inspect_lda.engines.rows import Decoding, RowState


@dataclass(frozen=True)
class Limits:
    """What a rollout has to keep to.

    Attributes:
        max_lost_mass: Most mean lost mass.
        audit_every: The whole vocabulary is looked at every so many steps, from the
            first; 0 never.
    """

    max_lost_mass: float
    audit_every: int


class Rollout:
    """A request while it is decoded.

    Args:
        request: What is asked.
        decoding: What all rows share.
        view: Where supports come from.
        vocabulary: Size of the vocabulary.
        limits: What it has to keep to.
    """

    def __init__(
        self,
        request: Request,
        decoding: Decoding,
        view: View,
        vocabulary: int,
        limits: Limits,
    ) -> None:
        self.row = RowState(request, decoding)
        self.view = view
        self._limits = limits
        self._stepper = RowStepper(self.row, vocabulary)
        self._steps = Steps(vocabulary)
        if self.row.support is not None:
            self.row.support.exact = False

    @property
    def prefix(self) -> Ids:
        """The prompt and all tokens so far."""
        return (*self.row.prompt, *self.row.tokens)

    @property
    def audit_in(self) -> int:
        """How many steps there are before the next one that looks at all ids."""
        every = self._limits.audit_every
        if not every or self.row.support is None or not self.view.sees_all:
            return self.row.request.max_tokens
        return -len(self.row.tokens) % every

    async def step(self) -> tuple[Plain, Support]:
        """Take one step by itself; returns how its token was drawn, and from what."""
        [sight] = await self.view.look([self.prefix], whole=self.audit_in == 0)
        choose = Plain(self.row.uniforms.next())
        self.take(sight, choose)
        return choose, sight.support

    def take(self, sight: Sight, choose: Plain) -> None:
        """Draw a token and record all that is known of the step."""
        row, support = self.row, sight.support
        audited = None
        if sight.whole is not None and row.support is not None:
            audited = audit(row, support, sight.whole, self.view.looking.barred)
        self._stepper(support, choose)
        if row.support is None:
            return
        self._steps.supports.append(support)
        if support.imputed:
            drawn = [
                column for column, i in enumerate(support.ids) if i in support.imputed
            ]
            row.support.imputed_mass.append(float(choose.chances[drawn].sum()))
            row.support.imputed_tokens += row.tokens[-1] in support.imputed
        else:
            row.support.imputed_mass.append(0.0)
        if audited is not None:
            self._steps.audits.append(audited)
            row.support.audit_tv.append(audited.tv)
            row.support.audit_lost.append(audited.lost)

    def completion(self) -> Completion:
        """The finished rollout.

        Raises:
            EngineError: If too much of the amplified distribution was out of reach.
        """
        if self.row.support is not None:
            lost, limit = self.row.support.lost, self._limits.max_lost_mass
            refuse_if_lost(self.row.request, self._steps, lost, limit)
        return self.row.completion()
