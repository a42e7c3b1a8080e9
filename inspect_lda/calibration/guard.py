"""The self-test at load, and the refusal of alphas that would amplify noise."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from inspect_lda.calibration.advice import ways_out
from inspect_lda.calibration.probes import probe_texts, render_probes
from inspect_lda.calibration.result import (
    Level,
    NoiseRecord,
    SelfTest,
    amplification,
    honest_text,
)
from inspect_lda.chat.render import ChatRenderer
from inspect_lda.engines.base import Engine
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from inspect_lda.engines.transformers import PairDecoder
    from inspect_lda.pair import Pair

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Extent:
    """Prompts, tokens a reply, rows of a batch, points of the curve a decade."""

    prompts: int
    length: int
    rows: int | None
    points: int


_FULL = _Extent(16, 8, None, 8)
_QUICK = _Extent(6, 3, 8, 3)
_FLOAT32 = _Extent(2, 2, 4, 2)
"""In float32 noise is 1e-6 of a token at alpha 1: what is left to see is whether the
identities hold, and whether there is any signal."""
_tests: "WeakKeyDictionary[Pair, dict[tuple[str, int], SelfTest]]" = WeakKeyDictionary()


async def test_at_load(
    engine: Engine, renderer: ChatRenderer, level: Level, rows: int
) -> SelfTest | None:
    """The self-test of an engine's pair, made by the first call of the process.

    Args:
        engine: Runs the pair.
        renderer: Renders requests to it.
        level: Which test; "off" is none.
        rows: Rows of the run's batches.

    Returns:
        The test; None if it is off, or the engine holds no pair in this process.

    Raises:
        LDAError: If an identity does not hold: what alpha 0 or -1 gives is then not a
            checkpoint, and no number can be trusted.
    """
    examine = getattr(engine, "examine", None)
    if level == "off" or examine is None:
        return None
    found: SelfTest = await examine(partial(_tested, renderer, level, rows))
    if not found.passed:
        raise LDAError(broken(found))
    return found


def _tested(
    renderer: ChatRenderer,
    level: Literal["quick", "full"],
    rows: int,
    decoder: "PairDecoder",
) -> SelfTest:
    from inspect_lda.calibration.self_test import Plan, run_self_test

    known = _tests.setdefault(decoder.pair, {})
    key = (level, rows)
    if key not in known:
        extent = _extent(level, decoder)
        room = decoder.pair.context_length - extent.length
        texts = probe_texts()[: extent.prompts]
        plan = Plan(
            level=level,
            prompts=render_probes(renderer, texts, room),
            rows=min(rows, extent.rows or rows),
            length=extent.length,
            points=extent.points,
            reference=None if level == "full" else False,
        )
        known[key] = run_self_test(decoder, plan)
        _tell(known[key])
    return known[key]


def _extent(level: str, decoder: "PairDecoder") -> _Extent:
    if level == "full":
        return _FULL
    return _FLOAT32 if decoder.precision == "float32" else _QUICK


def refuse_noise(test: SelfTest | None, alphas: Iterable[float], allowed: bool) -> None:
    """Refuse alphas above the largest honest one.

    Args:
        test: The pair's; None lets everything pass.
        alphas: What a request asks for.
        allowed: Whether the user accepts noise.

    Raises:
        LDAError: If an alpha is not honest; says why, and the ways out.
    """
    if test is None or allowed:
        return
    for alpha in alphas:
        if not test.allows(alpha):
            raise LDAError(refusal(test, alpha))


def refuse_unmeasured(
    precision: str | None, alphas: Iterable[float], allowed: bool
) -> None:
    """Refuse to amplify the rounding of a server, which nobody has measured.

    Args:
        precision: What it computes in; None if that is not known.
        alphas: What a request asks for.
        allowed: Whether the user accepts noise.

    Raises:
        LDAError: If that is not float32 and an alpha goes beyond both checkpoints.
    """
    beyond = [alpha for alpha in alphas if amplification(alpha) > 0]
    if precision in (None, "float32") or allowed or not beyond:
        return
    raise LDAError(
        f"alpha={beyond[0]:g}: the server computes in {precision}, and its rounding "
        "noise, which alpha multiplies, can not be measured over HTTP. Ways out: -M "
        "dtype=float32; or measure this pair by `inspect-lda check PAIR --dtype "
        f"{(precision or '').split(',')[0]}`, keep to the largest honest alpha it "
        "prints, and say so: -M allow_noise=true (every log tells)"
    )


def record_of(
    test: SelfTest | None, alphas: Iterable[float], allowed: bool
) -> NoiseRecord:
    """What a log says of noise: at the alpha of a request that amplifies most."""
    if test is None:
        return NoiseRecord(allowed=allowed)
    worst = max(alphas, key=amplification)
    return NoiseRecord(
        self_test=test.level,
        passed=test.passed,
        honest_alpha=test.honest_alpha,
        noise_tv=test.noise_tv(worst),
        honest=test.allows(worst),
        allowed=allowed,
    )


def refusal(test: SelfTest, alpha: float) -> str:
    """Why an alpha is refused, and the ways out."""
    noise = test.noise_tv(alpha)
    bounds = (
        f"at most {test.limits.max_tv:g}, and at most {test.limits.share:g} of what "
        "the signal moves"
    )
    ways = list(ways_out(test.precision))
    if test.is_flat:
        why = "the checkpoints differ by no more than rounding does: no alpha is honest"
        ways = []
    elif test.honest_alpha is None:
        why = "rounding noise outweighs the signal: no alpha is honest"
    else:
        why = f"the largest honest alpha is {honest_text(test.honest_alpha)}"
        ways.insert(0, f"alpha up to {honest_text(test.honest_alpha)}")
    ways.append("-M allow_noise=true, and every log says so")
    return (
        f"alpha={alpha:g}: {why}. In {test.precision}, rounding noise amplified by "
        f"{amplification(alpha):g} moves {noise:.3g} of a token's probability "
        f"({bounds} is honest). Ways out: {'; '.join(ways)}. See it: inspect-lda check"
    )


def broken(test: SelfTest) -> str:
    """Which identity does not hold."""
    lines = [
        f"{one.name}: off by {one.error:.3g} (at most {one.tolerance:.3g})"
        for one in test.identities
        if not one.holds
    ]
    return (
        f"self-test failed in {test.precision} as {test.form}. {'; '.join(lines)}. "
        "alpha 0 and -1 would not be the checkpoints, so no rate could be trusted. "
        "Please report it with the architecture; -M self_test=off runs anyway"
    )


def _tell(test: SelfTest) -> None:
    logger.info(
        "self-test (%s, %.2f s): KL(after||before) %.3g nats a token, largest honest "
        "alpha %s",
        test.level,
        test.seconds,
        test.signal_kl.value,
        honest_text(test.honest_alpha),
    )
