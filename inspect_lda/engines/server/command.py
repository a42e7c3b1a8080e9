"""How `vllm serve` is called."""

from collections.abc import Sequence
from pathlib import Path

from inspect_lda.engines.server.program import Program
from inspect_lda.engines.server.spec import ServerSpec
from inspect_lda.errors import LDAError

HOST = "127.0.0.1"
TOKEN_ROUTE = "--enable-scale-out"
"""Opens the route that `wire` prefers."""
_OURS = {
    "--api-key": "a key on a command line can be read by others; one is made for every "
    "server",
    "--host": "the server answers this machine alone. For others start it yourself: "
    "inspect-lda serve, and --model-base-url",
    "--served-model-name": "it is the name of the pair",
    "--uds": "the server is asked over a port",
    "--model": "the pair is the model",
}


def check_args(args: Sequence[str]) -> None:
    """Refuse arguments that would take the server out of our hands.

    Raises:
        LDAError: Names the argument and why.
    """
    for name, why in _OURS.items():
        if value_of(args, name) is not None:
            raise LDAError(f"-M vllm_args: {name} can not be set: {why}")
    port = value_of(args, "--port")
    if port is not None and not (port.isdecimal() and 0 < int(port) < 1 << 16):
        raise LDAError(f"-M vllm_args: --port {port} is no port, 1 to 65535")


def value_of(args: Sequence[str], name: str) -> str | None:
    """What follows an option, in either form; "" if nothing does, None without it."""
    for i, one in enumerate(args):
        given, equals, value = one.partition("=")
        # vLLM takes underscores for dashes.
        if given.replace("_", "-") == name:
            return value if equals else next(iter(args[i + 1 : i + 2]), "")
    return None


def command(
    program: Program, directory: Path, spec: ServerSpec, port: int
) -> list[str]:
    """The words of the command that serves a pair directory.

    Raises:
        LDAError: If an option is given twice.
    """
    words = [program.path, "serve", str(directory), "--host", HOST]
    words += ["--served-model-name", spec.after]
    if value_of(spec.args, "--port") is None:
        words += ["--port", str(port)]
    if value_of(spec.args, "--dtype") is None:
        words += ["--dtype", _dtype(program, spec)]
    elif spec.dtype != "auto":
        raise LDAError("-M dtype= and --dtype in -M vllm_args: give it once")
    if spec.max_batch is not None:
        words += ["--max-num-seqs", str(spec.max_batch)]
    if program.has_token_route and value_of(spec.args, TOKEN_ROUTE) is None:
        words.append(TOKEN_ROUTE)
    if spec.trust_remote_code:
        words.append("--trust-remote-code")
    return [*words, *spec.args]


def _dtype(program: Program, spec: ServerSpec) -> str:
    """As everywhere, float32 on a CPU; on a GPU that of the checkpoint."""
    return "float32" if spec.dtype == "auto" and program.on_cpu else spec.dtype
