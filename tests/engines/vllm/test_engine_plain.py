"""A vLLM that serves one checkpoint would ignore alpha: it is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.server.engine import ServerEngine
from inspect_lda.engines.server.launch import OwnedServer, free_port
from inspect_lda.engines.server.program import find_program
from inspect_lda.errors import LDAError
from tests.engines.vllm.oracle import Written
from tests.engines.vllm.served import ARGS, cached_in, spec_of

pytestmark = pytest.mark.vllm


@pytest.fixture
async def plain(llama: Written, tmp_path: Path) -> AsyncIterator[OwnedServer]:
    """`after` alone, as anybody would serve it."""
    pytest.importorskip("vllm")
    with cached_in(tmp_path):
        port = free_port()
        words = [find_program(), "serve", llama.spec.after, "--host", "127.0.0.1"]
        words += ["--port", str(port), "--dtype", "float32", *ARGS]
        server = OwnedServer(words, llama.spec.after, port)
        try:
            await server.ready()
            yield server
        finally:
            server.stop()


async def test_refused(
    plain: OwnedServer, llama: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LDA_API_KEY", plain.key.get_secret_value())
    engine = ServerEngine(spec_of(llama, urls=(plain.url,)))
    asked = Request((20, 21), 1.0, Sampling(), 4)
    for _ in range(2):
        with pytest.raises(LDAError, match="no checkpoint pair: it would ignore alpha"):
            await engine.generate(asked)
    engine.close()
    assert plain.alive
