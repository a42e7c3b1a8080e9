"""One pair opened to be calibrated: its engine, its template, its prompts."""

import time
from collections.abc import Mapping
from typing import Any

from inspect_lda.calibration.alpha import calibrate, silent
from inspect_lda.calibration.asked import Asked
from inspect_lda.calibration.automatic import pair_record
from inspect_lda.calibration.cost import Size, plan
from inspect_lda.calibration.found import Calibration
from inspect_lda.calibration.prompts import render
from inspect_lda.calibration.records import Settings
from inspect_lda.calibration.rollouts import Asker, Progress
from inspect_lda.chat.render import ChatRenderer
from inspect_lda.engines import create_engine
from inspect_lda.engines.base import Engine
from inspect_lda.errors import LDAError
from inspect_lda.options import read_model
from inspect_lda.pair import PairSpec, load_tokenizer
from inspect_lda.tasks.prompt_sets import load_prompts
from inspect_lda.values import read


class Session:
    """Calibrates one pair outside of any eval.

    Args:
        name: What stands after `lda/`.
        args: Model args, as `-M` takes them.
        settings: Fields of `records.Settings`.

    Raises:
        LDAError: If one of them is not allowed.
    """

    def __init__(
        self, name: str, args: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> None:
        for key in ("alpha", "kl_budget", "calibration", "convention"):
            if key in args:
                raise LDAError(f"-M {key}: alpha is what is looked for. Leave it out")
        self.after, self.options = read_model(name, args)
        if self.options.engine == "vllm":
            raise LDAError(
                "-M engine=vllm: this command loads the pair itself. Leave it out; "
                "what it finds serves both (-M calibration=FILE), and so does "
                "-M alpha=auto with -M engine=vllm"
            )
        self.settings = read(Settings, settings, "{key}")
        self.pair = PairSpec(after=self.after, **self.options.pair_fields())

    def engine(self) -> Engine:
        """A new engine on the pair; its weights are loaded by its first request."""
        options = self.options
        return create_engine(
            options.engine,
            self.pair,
            max_batch=options.max_batch,
            memory_fraction=options.memory_fraction,
        )

    def renderer(self) -> ChatRenderer:
        """Writes prompts as the model's evals do."""
        return ChatRenderer(
            load_tokenizer(self.pair),
            checkpoint=self.after,
            chat_template=self.options.chat_template,
            enable_thinking=self.options.enable_thinking,
        )

    def asked(self, renderer: ChatRenderer, spec: str, count: int) -> Asked:
        """So many prompts of a set."""
        return render(
            renderer,
            load_prompts(spec),
            count,
            chat_template=self.options.chat_template,
            enable_thinking=self.options.enable_thinking,
        )

    async def run(
        self,
        spec: str,
        count: int,
        size: Size | None = None,
        honest_alpha: float | None = None,
        progress: Progress = silent,
    ) -> Calibration:
        """Calibrate, and measure a probe of the planned run if one is.

        Args:
            spec: The prompt set.
            count: How many of its prompts.
            size: The planned run.
            honest_alpha: Largest alpha by the self-test, if it was run.
            progress: Told what is being done.
        """
        # Importing torch is a part of it, as in the first seconds of an eval.
        begun = time.monotonic()
        renderer, engine = self.renderer(), self.engine()
        asked = self.asked(renderer, spec, count)
        try:
            record = await pair_record(engine, self.options.engine)
            loading = time.monotonic() - begun
            found = await calibrate(
                engine,
                renderer.tokenizer,
                asked,
                record,
                self.settings,
                honest_alpha=honest_alpha,
                progress=progress,
            )
            if size is None or found.alpha is None:
                return found
            asker = Asker(
                engine, renderer.tokenizer, asked.asks, self.settings, progress
            )
            planned = await plan(
                asker,
                found.ledger,
                found.grid,
                size,
                batch=self.options.max_batch,
                load_seconds=loading,
            )
            return found.model_copy(update={"plan": planned})
        finally:
            engine.close()
