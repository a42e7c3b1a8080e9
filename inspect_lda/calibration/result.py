"""What a self-test says of a pair; torch-free, so that it can be read anywhere."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from inspect_lda.values import MAX_ALPHA

NEGLIGIBLE = 1e-3
"""Amplified noise of so little total variation is never refused: a pair of a model with
itself, a control, has no signal that noise could be compared with."""

Level = Literal["off", "quick", "full"]


class Frozen(BaseModel):
    """Values that do not change once they are found."""

    model_config = ConfigDict(frozen=True)


class Limits(Frozen):
    """When an alpha is honest.

    Attributes:
        max_tv: Most total variation a token that amplified noise may cause.
        share: Most of the measured signal's total variation that it may be. What is
            measured holds noise as well: at 0.7 training moves as much as noise does.
    """

    max_tv: float = Field(default=0.05, gt=0, lt=1)
    share: float = Field(default=0.7, gt=0)


class Identity(Frozen):
    """Two computations that must give the same.

    Attributes:
        name: What must be what.
        error: Largest difference found, in logits or log-probabilities.
        tolerance: Difference up to which it holds: 0 where it must be bit for bit.
    """

    name: str
    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within the tolerance; NaN is not."""
        return self.error <= self.tolerance


class Mean(Frozen):
    """A mean over prompts with its 95 % interval for prompts like these."""

    value: float
    lower: float
    upper: float


class Point(Frozen):
    """Total variation a token at one alpha, means over the probed tokens.

    Attributes:
        alpha: Above 0.
        noise_tv: Between `after`, and `after` plus alpha times its noise.
        signal_tv: Between `after` and the amplified distribution.
        truth_tv: Between the amplified distribution and the same computed in float32;
            None without that reference.
    """

    alpha: float
    noise_tv: float
    signal_tv: float
    truth_tv: float | None = None


class SelfTest(Frozen):
    """What a pair does in the run's own shapes and precision.

    Attributes:
        level: "quick" (at load) or "full".
        precision: Of the forward passes, e.g. "bfloat16, head float32".
        form: Class of the model that runs the pair.
        rows: Rows of the batches.
        prompts: Probed prompts.
        tokens: Probed tokens, all prompts together.
        seconds: How long it took.
        identities: What must be equal, and whether it is.
        noise_std: Standard deviation over ids of the noise of a logit.
        noise_kl: KL between `after` alone and in the batch, nats a token.
        signal_std: Standard deviation over ids of `after - before`.
        signal_kl: KL(after || before), nats a token.
        truth_std: Standard deviation over ids of the error of `after - before` against
            float32; None without that reference.
        limits: When an alpha is honest.
        curve: Noise and signal against alpha, ascending.
        honest_alpha: The largest honest alpha (at most 1000, the largest there is);
            None if there is none.
    """

    level: Literal["quick", "full"]
    precision: str
    form: str
    rows: int
    prompts: int
    tokens: int
    seconds: float
    identities: tuple[Identity, ...]
    noise_std: float
    noise_kl: float
    signal_std: float
    signal_kl: Mean
    truth_std: float | None
    limits: Limits
    curve: tuple[Point, ...]
    honest_alpha: float | None

    @property
    def passed(self) -> bool:
        """Whether every identity holds."""
        return all(one.holds for one in self.identities)

    @property
    def is_flat(self) -> bool:
        """Whether the checkpoints differ by no more than noise: nothing to amplify."""
        return self.honest_alpha is None and self.signal_kl.value <= self.noise_kl

    def noise_tv(self, alpha: float) -> float:
        """Amplified noise at an alpha, from the curve (linear in logarithms)."""
        reach = amplification(alpha)
        if reach <= 0:
            return 0.0
        low = max((p for p in self.curve if p.alpha <= reach), default=None, key=_alpha)
        high = min((p for p in self.curve if p.alpha > reach), default=None, key=_alpha)
        if low is None or high is None:
            # Proportional to alpha where small; constant beyond the last point.
            edge = self.curve[0] if low is None else low
            return edge.noise_tv * min(1.0, reach / edge.alpha)
        if not (low.noise_tv and high.noise_tv):
            return high.noise_tv
        part = math.log(reach / low.alpha) / math.log(high.alpha / low.alpha)
        return float(low.noise_tv ** (1 - part) * high.noise_tv**part)

    def allows(self, alpha: float) -> bool:
        """Whether an alpha may be asked for; alpha from -1 to 0 always may."""
        reach = amplification(alpha)
        if reach <= 0 or self.noise_tv(alpha) <= NEGLIGIBLE:
            return True
        return self.honest_alpha is not None and reach <= self.honest_alpha


class NoiseRecord(Frozen):
    """What every output says of noise, `metadata["lda"]["noise"]`.

    Attributes:
        self_test: The test's level; None if none was made.
        passed: Whether its identities hold.
        honest_alpha: The pair's largest honest alpha, None if there is none.
        noise_tv: Total variation of the noise that this request amplifies.
        honest: Whether its alpha is honest.
        allowed: Whether the user accepts noise (`-M allow_noise=true`).
    """

    self_test: Literal["quick", "full"] | None = None
    passed: bool | None = None
    honest_alpha: float | None = None
    noise_tv: float | None = None
    honest: bool | None = None
    allowed: bool = False


def amplification(alpha: float) -> float:
    """How many times the difference is amplified beyond both checkpoints.

    The pair swapped is alpha = -1 - a, so that -1 and 0 are both 0; between them
    nothing is amplified, and it is below 0.
    """
    return max(alpha, -1 - alpha)


def honest_text(alpha: float | None) -> str:
    """An honest alpha in words."""
    if alpha is None:
        return "none"
    return f"at least {MAX_ALPHA:g}" if alpha >= MAX_ALPHA else f"{alpha:.3g}"


def _alpha(point: Point) -> float:
    return point.alpha
