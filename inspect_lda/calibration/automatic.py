"""The alpha of a model that was asked for one: found at its first request, or read.

One calibration serves a process: all models of a pair that ask with one budget, at one
temperature. It is made from fixed prompts and seeds, so that in float32 another process
finds the same alpha, and `alpha=auto;kl_budget=0.5` in a model's name stands for one
model. In half precision texts depend on their batch and alpha may differ in its last
digits; the evidence of every output holds the alpha it was sampled with.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from inspect_lda.calibration.alpha import calibrate
from inspect_lda.calibration.found import Calibration, read
from inspect_lda.calibration.prompts import COUNT, PROMPTS, render
from inspect_lda.calibration.records import KL_BUDGET, PairRecord, Settings
from inspect_lda.chat.render import ChatRenderer
from inspect_lda.engines.base import Engine
from inspect_lda.errors import LDAError
from inspect_lda.options import ModelOptions

logger = logging.getLogger(__name__)

_found: dict[tuple[Any, ...], "Future[Calibration]"] = {}
_lock = threading.Lock()


async def calibration_for(
    engine: Engine,
    renderer: ChatRenderer,
    options: ModelOptions,
    temperature: float,
    honest_alpha: float | None = None,
) -> Calibration:
    """What `-M calibration=FILE` holds, or what `-M alpha=auto` finds.

    Args:
        engine: Runs the pair; loaded if it is not.
        renderer: Of the model.
        options: Of the model.
        temperature: Of the request; 0 is calibrated at 1.
        honest_alpha: Largest alpha by the self-test, if it was run.

    Raises:
        LDAError: If the file belongs to another pair, template or temperature, or the
            engine has no pair in this process.
    """
    pair = await pair_record(engine, options.engine)
    if options.calibration is not None:
        found = read(options.calibration)
        check(found, pair, options, temperature)
        return found
    settings = Settings(
        kl_budget=options.kl_budget or KL_BUDGET, temperature=temperature or 1.0
    )

    async def find() -> Calibration:
        from inspect_lda.tasks.prompt_sets import load_prompts

        asked = render(
            renderer,
            load_prompts(PROMPTS),
            COUNT,
            chat_template=options.chat_template,
            enable_thinking=options.enable_thinking,
        )
        return await calibrate(
            engine,
            renderer.tokenizer,
            asked,
            pair,
            settings,
            honest_alpha=honest_alpha,
            progress=_log,
        )

    written = (options.chat_template, options.enable_thinking)
    return await _once((pair, settings, *written, honest_alpha), find)


async def pair_record(engine: Engine, name: str) -> PairRecord:
    """The pair of an engine, for a calibration.

    Raises:
        LDAError: If the engine holds no pair in this process.
    """
    load = getattr(engine, "pair", None)
    if load is None or name == "api":
        raise LDAError(
            f"engine='{name}' cannot be calibrated: it holds no pair in this process. "
            "Give a number: -M alpha=1"
        )
    pair = await load()
    names = {"after": pair.after_name, "before": pair.before_name, "engine": name}
    if name == "vllm":
        served = {"dtype": pair.dtype, "head_dtype": pair.head_dtype}
        return PairRecord(**names, **served, adapter_scale=1.0)
    return PairRecord(
        **names,
        dtype=str(pair.after.dtype).removeprefix("torch."),
        head_dtype=pair.spec.head_dtype,
        adapter_scale=pair.spec.adapter_scale,
    )


def check(
    found: Calibration, pair: PairRecord, options: ModelOptions, temperature: float
) -> None:
    """Refuse a calibration of something else.

    Raises:
        LDAError: Names what differs.
    """
    ours = {
        **pair.model_dump(exclude={"engine"}),
        "chat_template": options.chat_template,
        "enable_thinking": options.enable_thinking,
        "temperature": temperature or 1.0,
        "alpha": options.alpha,
    }
    theirs = {
        **found.pair.model_dump(exclude={"engine"}),
        "chat_template": found.prompts.chat_template,
        "enable_thinking": found.prompts.enable_thinking,
        "temperature": found.settings.temperature,
        "alpha": found.chosen(),
    }
    for key, value in ours.items():
        if value != theirs[key]:
            raise LDAError(
                f"-M calibration={options.calibration!r} is of another model: its "
                f"{key} is {theirs[key]!r}, here it is {value!r}. Calibrate this one: "
                "inspect-lda alpha PAIR --out DIR"
            )


async def _once(
    key: tuple[Any, ...], find: Callable[[], Awaitable[Calibration]]
) -> Calibration:
    """Call `find` once a process and key; all who ask meanwhile wait for it."""
    with _lock:
        future = _found.get(key)
        ours = future is None
        if future is None:
            future = _found[key] = Future()
    if not ours:
        # Shielded: who gives up waiting must not end it for the others.
        return await asyncio.shield(asyncio.wrap_future(future))
    try:
        calibration = await find()
    except BaseException as error:
        with _lock:
            del _found[key]
        failed = error if isinstance(error, Exception) else RuntimeError("cancelled")
        future.set_exception(failed)
        raise
    future.set_result(calibration)
    return calibration


def _log(stage: str, done: int, total: int) -> None:
    if done == total:
        logger.info("%s: %d", stage, total)
