"""One decoding step of a row on its support, recorded as every engine records it."""

import functools
import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from inspect_lda.decoding.asked import Asked, Choose, Other
from inspect_lda.decoding.batch import Edit, Settings
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.measure import StepEvidence, is_sound
from inspect_lda.decoding.nets import NetRows, Netted
from inspect_lda.decoding.placebo import placebo_order
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.step import Step, Stepper
from inspect_lda.engines.api.columns import NOTHING, Columns, columns_of, rest_bias
from inspect_lda.engines.api.support import Support
from inspect_lda.engines.base import EngineError, TokenLogprobs
from inspect_lda.engines.rows import RowState
from inspect_lda.evidence import IMPLAUSIBLE

CPU = torch.device("cpu")
FIELDS = StepEvidence._fields


class RowStepper:
    """Takes the steps of one row.

    Args:
        row: Whose steps they are; drawn tokens are recorded in it.
        vocabulary: Size of the vocabulary.
    """

    def __init__(self, row: RowState, vocabulary: int) -> None:
        self.row = row
        self._vocabulary = vocabulary
        request = row.request
        self._settings = Settings.of([request.sampling], [request.alpha], CPU)
        self._others = [torch.tensor([[alpha]]) for alpha in request.others]
        self._temperature = request.sampling.temperature or 1.0

    @torch.inference_mode()
    def __call__(self, support: Support, choose: Choose) -> None:
        """Draw a token from a support and record it.

        Args:
            support: What may be drawn, and what is known of it.
            choose: Draws a column; asked once or twice, with the same answer.

        Raises:
            EngineError: If nothing can be drawn.
        """
        if not support.ids:
            raise EngineError(
                "the support is empty: what after's endpoint lists is unknown to the "
                "tokenizer. Give that of the served model: -M tokenizer=<name>"
            )
        alpha = self.row.request.alpha
        columns = columns_of(support, alpha, self._temperature, self._vocabulary)
        step = self._step(support, columns, choose, careful=False)
        values, others = _values(step)
        if not is_sound(values, others):
            step = self._step(support, columns, choose, careful=True)
            values, others = _values(step)
        self._record(support, step, values, others)

    def _step(
        self,
        support: Support,
        columns: Columns,
        choose: Choose,
        *,
        careful: bool,
    ) -> Step:
        width = columns.after.shape[-1]
        asked = Asked(
            settings=self._settings,
            edits=self._edits(support),
            uniforms=torch.zeros(1, dtype=torch.float64),
            top=min(self.row.request.top_logprobs or 0, len(support.ids)),
            placebos=_placebos(self.row, width),
            drawable=columns.drawable,
            choose=choose,
            nets=nets_of(self.row),
            others=[
                Other(column, nets_of(self.row, alpha))
                for alpha, column in zip(
                    self.row.request.others, self._others, strict=True
                )
            ],
        )
        stepper = Stepper(_all_known(width), asked, Scratch.of(1, width, CPU), careful)
        return stepper(columns.after, columns.before)

    def _edits(self, support: Support) -> list[Edit]:
        """Penalties and bias, by column; what keeps the bound a bound is one of them.

        They act on the rest of the amplified distribution alone, which is not drawn.
        """
        sampling = self.row.request.sampling
        column = {token: i for i, token in enumerate(support.ids)}
        bias = {column[t]: v for t, v in sampling.logit_bias.items() if t in column}
        counts = {column[t]: n for t, n in self.row.counts.items() if t in column}
        if not support.whole:
            bias[len(support.ids)] = self._rest_bias(support)
        return [Edit.of(0, replace(sampling, logit_bias=bias), counts, CPU)]

    def _rest_bias(self, support: Support) -> float:
        if self.row.request.nets.soft_threshold:
            # It acts on single ids: of their sum nothing is known.
            return NOTHING
        alpha, lowered = self.row.request.alpha, self._lowered(support)
        return rest_bias(support, alpha, self._vocabulary, lowered)

    def _lowered(self, support: Support) -> int:
        """How many ids outside the support penalties or bias make less likely."""
        sampling = self.row.request.sampling
        lowered = {t for t, v in sampling.logit_bias.items() if v < 0}
        if sampling.frequency_penalty > 0 or sampling.presence_penalty > 0:
            lowered |= self.row.counts.keys()
        return len(lowered - frozenset(support.ids))

    def _record(
        self,
        support: Support,
        step: Step,
        values: list[float],
        others: list[float],
    ) -> None:
        row, ids = self.row, [int(column) for column in step.ids[0].tolist()]
        # The rest is no token, and may outweigh them all.
        faint = self._temperature * math.log(IMPLAUSIBLE)
        drawn = support.after[ids[0]] if ids[0] < len(support.ids) else -math.inf
        implausible = drawn < max(support.after) + faint
        values[FIELDS.index("implausible")] = float(implausible)
        if row.request.top_logprobs is not None:
            row.logprobs.append(_logprobs(support, ids, step))
        token = support.ids[ids[0]] if ids[0] < len(support.ids) else -1
        row.take(token, values, others)
        if row.error is not None:
            raise row.error


def nets_of(row: RowState, alpha: float | None = None) -> NetRows | None:
    """What holds the row's next step back; None if nothing does.

    Args:
        row: The row.
        alpha: At this alpha in place of its own.
    """
    one, step = row.request, len(row.tokens)
    alpha = one.alpha if alpha is None else alpha
    return NetRows.of([Netted(0, one.nets, alpha, step, one.placebo)], CPU)


def _values(step: Step) -> tuple[list[float], list[float]]:
    """The evidence of a step of one row, and its token's chances at other alphas."""
    return torch.cat(step.evidence, dim=-1)[0].tolist(), step.others[0].tolist()


def _placebos(row: RowState, width: int) -> list[tuple[int, torch.Tensor]]:
    if not row.request.placebo:
        return []
    return [(0, placebo_order(row.request.sampling.seed, len(row.tokens), width))]


def _logprobs(support: Support, columns: Sequence[int], step: Step) -> TokenLogprobs:
    by_id = (step.log_q, step.log_p_after, step.log_p_before)
    q, after, before = (values[0].tolist() for values in by_id)
    rows = list(zip(columns, q, after, before, strict=True))
    # Dropped ids, whose logits may equal that of a kept one, come last.
    top = sorted(rows[1:], key=lambda entry: -entry[1])
    return TokenLogprobs(
        support.ids[columns[0]],
        q[0],
        tuple((support.ids[entry[0]], *entry[1:]) for entry in top),
    )


@functools.lru_cache(maxsize=64)
def _all_known(width: int) -> KnownIds:
    every = torch.ones(width, dtype=torch.bool)
    return KnownIds(every, every)
