"""What stands behind a model: checkpoints in this process, a server, or endpoints.

Building one is free: weights, tokenizers and connections are for the first call.
"""

import os
import shlex
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from inspect_lda import engines
from inspect_lda.engines.base import Engine
from inspect_lda.errors import LDAError
from inspect_lda.options import ModelOptions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from inspect_lda.engines.api.spec import ApiSpec
    from inspect_lda.engines.server.spec import ServerSpec
    from inspect_lda.pair import PairSpec

BASE_URL = "LDA_BASE_URL"
API_KEY, BEFORE_API_KEY = "LDA_API_KEY", "LDA_BEFORE_API_KEY"


class Backend(Protocol):
    """One of them.

    Attributes:
        base_url: Address of `after`'s endpoint: Inspect's cache keeps servers apart
            by it. None without endpoints.
        pool: Models with the same text share their connections.
    """

    base_url: str | None
    pool: str

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The tokenizer of `after`."""
        ...

    def engine(self) -> Engine:
        """The engine; to be given back with `engines.release_engine`."""
        ...

    def patient(self, retries: int | None) -> AbstractContextManager[Any]:
        """Inside it single requests may be sent again so often; None is the usual."""
        ...


def find_backend(after: str, options: ModelOptions, base_url: str | None) -> Backend:
    """What the options ask for.

    Raises:
        LDAError: If an address is missing, is none, or is given to no purpose.
    """
    if options.engine == "api":
        return Endpoints(after, options, base_url)
    if options.engine == "vllm":
        return Servers(after, options, base_url)
    if base_url is not None:
        raise LDAError(
            f"--model-base-url={base_url!r}: engine='{options.engine}' runs in this "
            "process. Leave it out, or take -M engine=api or engine=vllm"
        )
    return InProcess(after, options)


class InProcess:
    """Checkpoints whose weights are loaded here; a `Backend`."""

    def __init__(self, after: str, options: ModelOptions) -> None:
        self.base_url: str | None = None
        self._after = after
        self._options = options
        shared = sorted(options.pair_fields().items())
        self.pool = f"{options.engine}:{after}:{shared}"

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """See `Backend`."""
        from inspect_lda.pair import load_tokenizer

        return load_tokenizer(self._spec())

    def engine(self) -> Engine:
        """See `Backend`."""
        return engines.acquire_engine(
            self._options.engine,
            self._spec(),
            max_batch=self._options.max_batch,
            memory_fraction=self._options.memory_fraction,
        )

    def patient(self, retries: int | None) -> AbstractContextManager[Any]:
        """See `Backend`; nothing is asked over a network."""
        return nullcontext()

    def _spec(self) -> "PairSpec":
        from inspect_lda.pair import PairSpec

        return PairSpec(after=self._after, **self._options.pair_fields())


class Endpoints:
    """Two models that are served elsewhere; a `Backend`.

    Raises:
        LDAError: If `before` or an address is missing, or one is no address.
    """

    def __init__(self, after: str, options: ModelOptions, base_url: str | None) -> None:
        from inspect_lda.engines.api.address import Address

        if options.before is None:
            raise LDAError(
                "-M before= is missing. With engine=api it is the name of the model "
                "from before the training, as its endpoint knows it"
            )
        url = base_url or os.environ.get(BASE_URL)
        if not url:
            raise LDAError(
                "engine=api needs the address of the endpoint that serves "
                f"'{after}': --model-base-url http://localhost:8000/v1 (base_url= in "
                f"Python), or the environment variable {BASE_URL}"
            )
        found = Address.parse(url, "--model-base-url")
        other = found
        if options.before_base_url is not None:
            other = Address.parse(options.before_base_url, "-M before_base_url")
        self.base_url: str | None = found.base
        self._spec = _api_spec(after, options, found.base, other.base)
        self.pool = f"api:{after}@{found.base}:{options.before}@{other.base}"

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """See `Backend`."""
        from inspect_lda.engines.api.served import read_tokenizer

        return read_tokenizer(self._spec)

    def engine(self) -> Engine:
        """See `Backend`."""
        return engines.acquire_engine("api", self._spec)

    def patient(self, retries: int | None) -> AbstractContextManager[Any]:
        """See `Backend`."""
        from inspect_lda.engines.api.meter import metering

        return metering(retries)


class Servers:
    """A pair that vLLM serves as one model; a `Backend`.

    Raises:
        LDAError: If an address is none, or options contradict each other.
    """

    def __init__(self, after: str, options: ModelOptions, base_url: str | None) -> None:
        from inspect_lda.engines.api.address import Address

        given = (base_url or os.environ.get(BASE_URL) or "").split(",")
        urls = [
            Address.parse(one, "--model-base-url").base for one in given if one.strip()
        ]
        self._spec = _server_spec(after, options, tuple(dict.fromkeys(urls)))
        # A server of our own has another port every time, and says the same.
        self.base_url: str | None = ",".join(self._spec.urls) or None
        self.pool = f"vllm:{self._spec}"

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """See `Backend`."""
        from inspect_lda.engines.server.local import read_tokenizer

        return read_tokenizer(self._spec)

    def engine(self) -> Engine:
        """See `Backend`."""
        return engines.acquire_engine("vllm", self._spec)

    def patient(self, retries: int | None) -> AbstractContextManager[Any]:
        """See `Backend`."""
        from inspect_lda.engines.api.meter import metering

        return metering(retries)


def _server_spec(
    after: str, options: ModelOptions, urls: tuple[str, ...]
) -> "ServerSpec":
    from inspect_lda.engines.server.spec import ServerSpec

    given = options.model_fields_set
    vain = {"vllm_args", "vllm_program", "max_batch"} if urls else {"tokenizer"}
    if wrong := sorted(vain & given):
        who = "running servers are asked" if urls else "the server is started here"
        raise LDAError(
            f"{', '.join(f'-M {name}=' for name in wrong)} would change nothing: {who} "
            f"({'--model-base-url is' if urls else 'no --model-base-url was'} given). "
            "Leave it out"
        )
    try:
        args = tuple(shlex.split(options.vllm_args or ""))
    except ValueError as error:
        raise LDAError(f"-M vllm_args={options.vllm_args!r}: {error}") from None
    same: dict[str, Any] = options.model_dump(
        include={"before", "tokenizer", "dtype", "trust_remote_code"}
        | {"allow_mixed_quantization"}
    )
    return ServerSpec(
        after=after,
        urls=urls,
        max_batch=options.max_batch if "max_batch" in given else None,
        program=options.vllm_program,
        args=args,
        **same,
    )


def _api_spec(
    after: str, options: ModelOptions, base_url: str, before_base_url: str
) -> "ApiSpec":
    from inspect_lda.engines.api.spec import ApiSpec

    same: dict[str, Any] = options.model_dump(
        include={"before", "dialect", "tokenizer", "trust_remote_code", "missing"}
        | {"before_top_k", "max_lost_mass", "audit_every", "draft"}
        | {"price_in", "price_out"}
    )
    return ApiSpec(
        after=after,
        base_url=base_url,
        before_base_url=before_base_url,
        before_dialect=options.before_dialect or options.dialect,
        **same,
    )
