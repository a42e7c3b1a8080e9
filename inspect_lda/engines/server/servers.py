"""The servers that this process started: one a pair, kept until it is in the way.

Loading takes minutes, so a server outlives the engine that asked for it, as loaded
weights do. Where another is to be started, those that nobody uses make room first.
"""

import asyncio
import threading
from collections import Counter
from concurrent.futures import Future

from inspect_lda.engines.api.errors import EndpointError
from inspect_lda.engines.server.command import check_args, command, value_of
from inspect_lda.engines.server.launch import OwnedServer, free_port, is_taken
from inspect_lda.engines.server.local import LocalPair
from inspect_lda.engines.server.program import check_program, find_program
from inspect_lda.engines.server.spec import ServerSpec
from inspect_lda.errors import LDAError

MOST_STARTS = 6
"""A server that ends as often is not started again."""
PORTS = 3
"""Another process may take a free port before the server does."""

_lock = threading.Lock()
_held: dict[ServerSpec, OwnedServer] = {}
_starting: "dict[ServerSpec, Future[OwnedServer]]" = {}
_users: Counter[ServerSpec] = Counter()
_starts: Counter[ServerSpec] = Counter()


class _GivenUp(Exception):
    """Who was starting it was cancelled."""


def join(spec: ServerSpec) -> None:
    """Say that a pair's server will be needed."""
    with _lock:
        _users[spec] += 1


def leave(spec: ServerSpec) -> None:
    """Say that it no longer is; it runs on until it is in the way."""
    with _lock:
        _users[spec] -= 1


async def running(spec: ServerSpec, local: LocalPair) -> OwnedServer:
    """The server of a pair, started if it does not run.

    Raises:
        LDAError: If it can not be started.
        EndpointError: If it ends again and again.
    """
    while True:
        with _lock:
            held, future = _held.get(spec), _starting.get(spec)
            if held is not None and held.alive:
                return held
            ours = future is None
            if future is None:
                future = _starting[spec] = Future()
        if ours:
            return await _start_for(spec, local, future)
        try:
            # Shielded: who gives up waiting must not end it for the others.
            return await asyncio.shield(asyncio.wrap_future(future))
        except _GivenUp:
            continue


def stop_all() -> None:
    """End every server, in use or not."""
    with _lock:
        servers = list(_held.values())
        _held.clear()
        _starts.clear()
    for one in servers:
        one.stop()


async def _start_for(
    spec: ServerSpec, local: LocalPair, waiting: "Future[OwnedServer]"
) -> OwnedServer:
    try:
        await asyncio.to_thread(_make_room)
        server = await _start(spec, local)
    except BaseException as error:
        with _lock:
            del _starting[spec]
        waiting.set_exception(error if isinstance(error, Exception) else _GivenUp())
        raise
    with _lock:
        _held[spec] = server
        del _starting[spec]
    waiting.set_result(server)
    return server


def _make_room() -> None:
    """End servers that have ended by themselves, or that nobody uses."""
    with _lock:
        idle = [spec for spec, one in _held.items() if not (_users[spec] and one.alive)]
        servers = [_held.pop(spec) for spec in idle]
    for one in servers:
        one.stop()


async def _start(spec: ServerSpec, local: LocalPair) -> OwnedServer:
    check_args(spec.args)
    path = await asyncio.to_thread(find_program, spec.program)
    program = await asyncio.to_thread(check_program, path)
    with _lock:
        _starts[spec] += 1
        if _starts[spec] > MOST_STARTS:
            raise EndpointError(
                f"the vLLM server of {spec.after} ended {MOST_STARTS} times in this "
                "process and is not started again. Its logs say why; a smaller -M "
                "max_batch= needs less memory"
            )
    named = value_of(spec.args, "--port")
    for left in reversed(range(PORTS)):
        port = free_port() if named is None else int(named)
        if named is not None and is_taken(port):
            raise LDAError(
                f"-M vllm_args: port {port} is taken. Name another one, or leave "
                "--port out"
            )
        server = OwnedServer(
            command(program, local.directory, spec, port), spec.after, port
        )
        try:
            await server.ready()
            return server
        except BaseException as error:
            # Waiting would hold up an event loop that is being cancelled.
            server.stop(wait=False)
            lost = named is None and "port is taken" in str(error)
            if not (lost and left):
                raise
    raise AssertionError("the last port serves or raises")
