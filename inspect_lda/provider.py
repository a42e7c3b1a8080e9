"""The `lda` provider: Inspect's types in, Inspect's types out; holds no decoding.

What users need to know beyond the options:

- Weights and tokenizer are loaded by the first call that needs them, so that scoring or
  retrying a log constructs this class for free.
- Inspect's adaptive connections are on by default and ignore `max_connections()`: they
  start at 20 requests in flight. To fill a larger batch, pass `--max-connections`.
- Token limits: without `max_tokens` a completion may have 2,048 tokens; the engine
  stops at the end of the context window. A prompt that fills the window gives an empty
  completion with stop_reason "model_length".
- Seeds are literal; see `seeds` about epochs.
- Errors in options reach the terminal as one message, see `errors.LDAError`.
"""

import asyncio
import threading
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    ModelAPI,
    ModelCall,
    ModelOutput,
    RetryDecision,
)
from inspect_ai.tool import ToolChoice, ToolInfo
from typing_extensions import override

from inspect_lda import engines
from inspect_lda.backend import API_KEY, BEFORE_API_KEY, find_backend
from inspect_lda.calibration.at_load import prepare
from inspect_lda.calibration.guard import test_at_load
from inspect_lda.calibration.result import SelfTest
from inspect_lda.chat.render import ChatRenderer
from inspect_lda.engines.base import Engine
from inspect_lda.errors import LDAError
from inspect_lda.options import model_name as name_of
from inspect_lda.options import read_model
from inspect_lda.record import Call, facts_of
from inspect_lda.sampling import sample
from inspect_lda.scoring import score
from inspect_lda.settings import DEFAULT_MAX_TOKENS, read_config

SERVER_CONNECTIONS = 256
"""What a vLLM server decodes together by default, on most GPUs."""


class LDAModelAPI(ModelAPI):
    """A checkpoint pair whose logits are `after + alpha * (after - before)`.

    Args:
        model_name: What stands after `lda/`: the checkpoint `after`, or a logged name.
        base_url: Address of `after`'s endpoint (engine=api), or of servers of the pair
            (engine=vllm; several are separated by commas).
        api_key: Refused: keys are read from the environment.
        config: Model config.
        **model_args: See `options.ModelOptions`.

    Raises:
        LDAError: On bad options.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - Inspect's signature
        **model_args: Any,
    ) -> None:
        self.after, self.options = read_model(model_name, model_args)
        if api_key is not None:
            raise LDAError(
                "-M api_key: a key does not belong on a command line. Put it into the "
                f"environment variable {API_KEY} ({BEFORE_API_KEY} for before's "
                "endpoint, if that is another)"
            )
        self._backend = find_backend(self.after, self.options, base_url)
        name = name_of(self.after, self.options)
        super().__init__(name, self._backend.base_url, None, [], config)
        self._lock = threading.Lock()
        self._renderer: ChatRenderer | None = None
        self._engine: Engine | None = None
        self._test: SelfTest | None = None

    @override
    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> tuple[ModelOutput, ModelCall]:
        settings = read_config(config, self.options)
        if tools and tool_choice != "auto":
            raise LDAError(
                f"tool_choice={tool_choice!r}: sampling cannot be forced into a tool "
                "call. Allowed: auto, none"
            )
        renderer = await self._ready_renderer()
        prompt = renderer.render(input, tools, settings.render)
        engine = await self._ready_engine()
        with self._backend.patient(config.max_retries):
            facts = await facts_of(engine, self.after, self.options)
            test = await self._tested(engine, renderer)
            ready = await prepare(engine, renderer, self.options, settings, test)
            call = Call(
                model=self.model_name,
                engine=engine,
                renderer=renderer,
                prompt=prompt,
                settings=ready.settings,
                facts=facts,
                noise=ready.noise,
                calibration=ready.calibration,
            )
            if settings.score is not None:
                return await score(call, settings.score)
            return await sample(call, tools)

    @override
    async def count_text_tokens(self, text: str) -> int:
        return len(await self.tokenize(text))

    @override
    async def tokenize(self, text: str) -> list[int]:
        renderer = await self._ready_renderer()
        return list(renderer.tokenizer(text, add_special_tokens=False)["input_ids"])

    @override
    def max_tokens(self) -> int:
        return DEFAULT_MAX_TOKENS

    @override
    def max_connections(self) -> int:
        if self.options.engine == "api":
            return super().max_connections()
        if self.options.engine == "vllm":
            return max(SERVER_CONNECTIONS, self.options.max_batch)
        return self.options.max_batch

    @override
    def connection_key(self) -> str:
        """One pool for all alphas of a pair: they share one engine."""
        return self._backend.pool

    @override
    def canonical_name(self) -> str:
        return self.after

    @override
    def service_model_name(self) -> str:
        return self.after

    @override
    def collapse_user_messages(self) -> bool:
        return True

    @override
    def collapse_assistant_messages(self) -> bool:
        return True

    @override
    def collapse_system_messages(self) -> bool:
        return True

    @override
    def should_retry(self, ex: Exception) -> bool | RetryDecision:
        """Whether a whole completion may be tried again.

        Single requests to endpoints were, by the engine; nothing in this process fails
        today and works in a second.
        """
        if self.options.engine not in ("api", "vllm"):
            return False
        from inspect_lda.engines.api.errors import EndpointUnavailable

        if not isinstance(ex, EndpointUnavailable):
            return RetryDecision.no()
        if ex.rate_limited:
            return RetryDecision.rate_limit(ex.retry_after)
        return RetryDecision.transient(ex.retry_after)

    @override
    def close(self) -> None:
        with self._lock:
            engine, self._engine, self._renderer = self._engine, None, None
            self._test = None
        if engine is not None:
            engines.release_engine(engine)

    async def _tested(self, engine: Engine, renderer: ChatRenderer) -> SelfTest | None:
        if self._test is None:
            level, rows = self.options.self_test, self.options.max_batch
            self._test = await test_at_load(engine, renderer, level, rows)
        return self._test

    async def _ready_renderer(self) -> ChatRenderer:
        # A thread lock in a thread, not an asyncio lock: a memoised model outlives the
        # event loop of one eval.
        _require_asyncio()
        return await asyncio.to_thread(self._load_renderer)

    def _load_renderer(self) -> ChatRenderer:
        with self._lock:
            if self._renderer is None:
                self._renderer = ChatRenderer(
                    self._backend.tokenizer(),
                    checkpoint=self.after,
                    chat_template=self.options.chat_template,
                    enable_thinking=self.options.enable_thinking,
                )
            return self._renderer

    async def _ready_engine(self) -> Engine:
        return await asyncio.to_thread(self._load_engine)

    def _load_engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = self._backend.engine()
            return self._engine


def _require_asyncio() -> None:
    """Refuse Inspect's other backend before it fails somewhere inside.

    Raises:
        LDAError: If no asyncio event loop runs here.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise LDAError(
            "the lda provider runs on asyncio alone. Leave INSPECT_ASYNC_BACKEND "
            "unset, or set it to asyncio"
        ) from None
