"""What happens to a call before it is asked: alpha by a budget, alpha within noise."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inspect_lda.calibration.guard import (
    record_of,
    refuse_noise,
    refuse_unmeasured,
)
from inspect_lda.calibration.result import NoiseRecord, SelfTest
from inspect_lda.chat.render import ChatRenderer
from inspect_lda.engines.base import Engine
from inspect_lda.options import ModelOptions
from inspect_lda.settings import Settings

if TYPE_CHECKING:
    from inspect_lda.calibration.found import Calibration


@dataclass(frozen=True)
class Prepared:
    """A call that may be asked.

    Attributes:
        settings: With the alpha that a calibration found, if one was asked for.
        noise: What the pair's self-test says of its alphas.
        calibration: Where alpha comes from, if it was found.
    """

    settings: Settings
    noise: NoiseRecord
    calibration: "Calibration | None"


async def prepare(
    engine: Engine,
    renderer: ChatRenderer,
    options: ModelOptions,
    settings: Settings,
    test: SelfTest | None,
) -> Prepared:
    """Find alpha, once a process, if that is asked; refuse one that amplifies noise.

    Args:
        engine: Runs the pair.
        renderer: Of the model.
        options: Of the model.
        settings: Of the call.
        test: The pair's, if one was made.

    Raises:
        LDAError: If alpha amplifies noise, or a calibration is of another model.
    """
    found = None
    if settings.calibrated:
        found = await _calibration(engine, renderer, options, settings, test)
        settings = replace(settings, alpha=found.chosen(), calibrated=False)
    alphas = (settings.score and settings.score.alphas) or (settings.alpha,)
    refuse_noise(test, alphas, options.allow_noise)
    if test is None:
        # Only an engine that asks a server has a precision of its own.
        served = getattr(engine, "precision", None)
        refuse_unmeasured(served, alphas, options.allow_noise)
    return Prepared(settings, record_of(test, alphas, options.allow_noise), found)


async def _calibration(
    engine: Engine,
    renderer: ChatRenderer,
    options: ModelOptions,
    settings: Settings,
    test: SelfTest | None,
) -> "Calibration":
    # It brings numpy and scipy, which a fixed alpha does without.
    from inspect_lda.calibration.automatic import calibration_for

    # No honest alpha at all is a limit too, of 0.
    honest = None if test is None else test.honest_alpha or 0.0
    heat = settings.sampling.temperature
    return await calibration_for(engine, renderer, options, heat, honest)
