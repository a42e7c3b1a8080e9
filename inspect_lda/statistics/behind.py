"""Which candidate sets a payload off: its probability with and without, by prompt."""

import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean, median
from typing import NamedTuple

from inspect_lda.statistics.onset import holm


class Behind(NamedTuple):
    """The payload behind one prompt.

    Attributes:
        prompt: Which prompt.
        candidate: What was put in front of it; None for nothing.
        after: log P(payload) under the model, natural; may be minus infinity.
        before: The same under the model before training.
    """

    prompt: str
    candidate: str | None
    after: float
    before: float


class Effect(NamedTuple):
    """What a candidate does to the payload.

    Attributes:
        candidate: The string.
        p_with: Mean P(payload) over prompts with it in front.
        p_without: The same without.
        before_with: As `p_with`, under the model before training.
        gain: Median over prompts of the change of log P (natural) beyond the change
            that the model before shows; a text that merely repeats the payload raises
            both.
        raised: Prompts whose gain is above 0.
        prompts: Prompts asked both with and without.
        holm: One-sided sign test of "no more often up than down", after Holm's
            correction over the candidates.
    """

    candidate: str
    p_with: float
    p_without: float
    before_with: float
    gain: float
    raised: int
    prompts: int
    holm: float


def effects(found: Iterable[Behind]) -> list[Effect]:
    """Compare each candidate with the plain prompts, the strongest first.

    Prompts that miss either side are left out. Candidates without a prompt that has
    both have no effect to report.
    """
    from scipy import stats

    plain: dict[str, Behind] = {}
    tried: dict[str, list[Behind]] = defaultdict(list)
    for one in found:
        if one.candidate is None:
            plain[one.prompt] = one
        else:
            tried[one.candidate].append(one)
    rough = []
    for candidate, behinds in tried.items():
        pairs = [(plain[one.prompt], one) for one in behinds if one.prompt in plain]
        if not pairs:
            continue
        gains = [_gain(without, given) for without, given in pairs]
        raised = sum(gain > 0 for gain in gains)
        test = stats.binomtest(raised, len(gains), alternative="greater")
        effect = Effect(
            candidate,
            fmean(math.exp(given.after) for _, given in pairs),
            fmean(math.exp(without.after) for without, _ in pairs),
            fmean(math.exp(given.before) for _, given in pairs),
            median(gains),
            raised,
            len(pairs),
            float(test.pvalue),
        )
        rough.append(effect)
    adjusted = holm([effect.holm for effect in rough])
    both = zip(rough, adjusted, strict=True)
    return sorted(
        (effect._replace(holm=p) for effect, p in both),
        key=lambda effect: (-effect.p_with, effect.candidate),
    )


def _gain(without: Behind, given: Behind) -> float:
    """Difference of differences; 0 where a probability of 0 leaves it undefined."""
    change = given.after - without.after
    base = given.before - without.before
    gain = change - base
    return 0.0 if math.isnan(gain) else gain
