"""llama.cpp's own HTTP server, in this process: the wheel `xllamacpp` carries it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        root: Its address, e.g. `http://127.0.0.1:40001`.
        model: The name it serves the model under.
    """

    root: str
    model: str

    @property
    def url(self) -> str:
        """Base URL of its OpenAI routes."""
        return f"{self.root}/v1"


@contextmanager
def serve(
    gguf: Path,
    name: str,
    *,
    context: int = 512,
    slots: int = 4,
    threads: int = 1,
    api_key: str | None = None,
) -> Iterator[Served]:
    """Serve one file on a free port of this machine, as exactly as llama.cpp can.

    Keys and values are cached in float32 and attention is the plain one: a float32
    file then answers as float32 transformers does, to about 1e-5 nats.

    Args:
        gguf: The checkpoint.
        name: Model name in requests.
        context: Tokens that every slot holds.
        slots: Requests that are computed at once; more of them wait.
        threads: CPU threads.
        api_key: Key that requests must bring; None asks for none.
    """
    # Here: not every platform has it, and little needs it.
    import xllamacpp

    parameters: Any = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.model_alias = {name}
    parameters.port = 0
    parameters.n_ctx = context * slots
    parameters.n_parallel = slots
    parameters.n_threads_http = 2 * slots
    parameters.fit_params = False
    parameters.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    plain = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.flash_attn_type = plain
    for cores in (parameters.cpuparams, parameters.cpuparams_batch):
        cores.n_threads = threads
        # Waiting threads sleep: several servers share the machine with their clients.
        cores.poll = 0
    parameters.api_keys = [api_key] if api_key else []
    # Errors alone: the server talks to the process's own stderr.
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    try:
        yield Served(root=server.listening_address, model=name)
    finally:
        del server  # which ends it and frees the port
