"""Servers that do not come up say why, and where their log is."""

import os
import socket
import stat
from pathlib import Path
from textwrap import dedent

import pytest

from inspect_lda.engines.server.launch import OwnedServer, free_port
from inspect_lda.engines.server.reasons import why
from inspect_lda.errors import LDAError
from tests.engines.server.conftest import Program

# What vLLM 0.32 writes, shortened to the lines that count.
LOGS = [
    ("OSError: [Errno 98] Address already in use", "the port is taken", "--port"),
    (
        "ValueError: Free memory on device cuda:0 (12.1/79.2 GiB) on startup is less "
        "than desired GPU memory utilization (0.92, 72.9 GiB). Decrease GPU memory",
        "not enough memory: Free memory on device cuda:0",
        "--gpu-memory-utilization 0.7",
    ),
    (
        "ValueError: No available memory for the cache blocks. Try increasing",
        "not enough memory: No available memory",
        "--tensor-parallel-size 2",
    ),
    (
        "ValueError: To serve at least one request with the models's max seq len "
        "(131072), (16.0 GiB KV cache is needed, which is larger than the available",
        "not enough memory: To serve at least one request",
        "--max-model-len 4096",
    ),
    (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
        "max_batch=32",
    ),
    (
        "LDAError: vllm: version 0.30.0 is installed; pairs are served by <0.33,>=0.31",
        "wrong version of vLLM: pairs are served by <0.33,>=0.31",
        "install one",
    ),
    (
        "vllm: error: unrecognized arguments: --tensor-paralel 2",
        "unrecognized arguments: --tensor-paralel 2",
        "vllm serve --help=all",
    ),
    (
        "ValueError: Model architectures ['LDAForCausalLM'] are not supported for now.",
        "does not load the plugin",
        "VLLM_PLUGINS",
    ),
]


@pytest.mark.parametrize(("line", "reason", "way_out"), LOGS)
def test_known_reasons(line: str, reason: str, way_out: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"INFO starting\n(EngineCore pid=7) {line}\nTraceback\n", "utf-8")
    said = why(log)
    assert reason in said
    assert way_out in said.partition("Way out: ")[2]


def test_an_unknown_reason_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [f"line {i}" for i in range(40)]
    log.write_text("\n".join([*lines, "(Worker pid=3) KeyError: 'x'"]), "utf-8")
    said = why(log)
    assert said.endswith("    KeyError: 'x'")
    assert "line 39" in said
    assert "line 20" not in said


async def test_a_server_that_dies_while_it_loads(program: Program) -> None:
    code = """
        import sys
        print("Loading weights")
        sys.exit("RuntimeError: a shard is missing")
    """
    server = OwnedServer(program(dedent(code)), "org/pair", free_port())
    with pytest.raises(LDAError) as error:
        await server.ready()
    server.stop()
    said = str(error.value)
    for part in ("org/pair ended while it loaded (exit code 1)", str(server.log)):
        assert part in said
    assert "Loading weights" in said
    assert "a shard is missing" in said


async def test_the_key_is_in_the_environment_alone(program: Program) -> None:
    code = """
        import os, sys
        print("key", os.environ["VLLM_API_KEY"])
        print("words", sys.argv)
        sys.exit(1)
    """
    server = OwnedServer(program(dedent(code)), "org/pair", free_port())
    with pytest.raises(LDAError) as error:
        await server.ready()
    server.stop()
    key = server.key.get_secret_value()
    log = server.log.read_text("utf-8")
    assert f"key {key}" in log, "the server has it"
    assert key not in log.partition("words")[2]
    assert "key [key]" in str(error.value)
    assert key not in str(error.value)
    assert stat.S_IMODE(os.stat(server.log).st_mode) == 0o600


async def test_a_server_is_waited_for(program: Program) -> None:
    port = free_port()
    code = f"""
        import http.server, os, time

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                known = self.headers["Authorization"]
                ours = "Bearer " + os.environ["VLLM_API_KEY"] == known
                self.send_response(200 if ours and self.path == "/v1/models" else 401)
                self.end_headers()
                self.wfile.write(b'{{"data": []}}')

        time.sleep(1)
        http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
    """
    server = OwnedServer(program(dedent(code)), "org/pair", port)
    await server.ready()
    assert server.alive
    server.stop()
    assert not server.alive
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
