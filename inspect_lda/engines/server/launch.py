"""Starts a server, waits until it answers, ends it."""

import asyncio
import atexit
import logging
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import EndpointUnavailable
from inspect_lda.engines.server import lifeline, reasons
from inspect_lda.engines.server.command import HOST
from inspect_lda.errors import LDAError
from inspect_lda.organisms.base import cache_directory

logger = logging.getLogger(__name__)

KEY_VARIABLE = "VLLM_API_KEY"
KEPT_LOGS = 40
LOOK = 0.5
"""Seconds between two looks at a server that loads."""
TELL = 30.0
"""Seconds between two words about it."""


class OwnedServer:
    """A server that this process started, and that ends with it.

    Args:
        command: Its words; see `command.command`.
        model: Name of the model there.
        port: Where it will answer.

    Attributes:
        url: Its base URL.
        key: What requests to it must bring.
        log: What it says.
        model: Name of the model there.
    """

    def __init__(self, command: Sequence[str], model: str, port: int) -> None:
        self.url = f"http://{HOST}:{port}/v1"
        self.key = SecretStr(secrets.token_urlsafe(32))
        self.log = _new_log(port)
        self.model = model
        # In the environment, which only this user can read.
        environment = {**os.environ, KEY_VARIABLE: self.key.get_secret_value()}
        environment["PYTHONUNBUFFERED"] = "1"
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C is for us, and we end it in order.
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(Path(lifeline.__file__)), *command],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # Also where nobody closes it: an eval that fails gives nothing back.
        atexit.register(self.stop)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    async def ready(self) -> None:
        """Wait until it answers.

        Raises:
            LDAError: If it ends instead; says why.
        """
        begun = told = time.monotonic()
        asked = Endpoint(self.url, self.model, key=self.key, timeout=10, retries=0)
        logger.warning("starting vLLM for %s, log: %s", self.model, self.log)
        try:
            while True:
                if not self.alive:
                    raise LDAError(self.ended("while it loaded"))
                try:
                    await asked.get("models", 0)
                    break
                except EndpointUnavailable:
                    await asyncio.sleep(LOOK)
                now = time.monotonic()
                if now - told >= TELL:
                    told, said = now, reasons.last_line(self.log)
                    logger.warning("vLLM loads, %.0f s: %s", now - begun, said)
        finally:
            asked.close()
        seconds = time.monotonic() - begun
        logger.warning("vLLM serves %s after %.0f s", self.model, seconds)

    def ended(self, when: str) -> str:
        """That it ended, why as far as its log says, and where that is."""
        code = self._process.poll()
        why = reasons.why(self.log).replace(self.key.get_secret_value(), "[key]")
        return (
            f"the vLLM server of {self.model} ended {when} (exit code {code}): {why}\n"
            f"Its log: {self.log}"
        )

    def stop(self, *, wait: bool = True) -> None:
        """End it, workers and all; harmless to call again.

        Args:
            wait: Until its memory is free.
        """
        atexit.unregister(self.stop)
        if self._process.stdin is not None:
            self._process.stdin.close()
        if not wait:
            return
        try:
            self._process.wait(lifeline.GRACE + 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    """A port of this machine that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_taken(port: int) -> bool:
    """Whether somebody listens at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _new_log(port: int) -> Path:
    home = cache_directory() / "servers"
    home.mkdir(parents=True, exist_ok=True)
    old = sorted(home.glob("*.log"), key=lambda one: one.stat().st_mtime)
    for one in old[: -KEPT_LOGS or None]:
        one.unlink(missing_ok=True)
    log = home / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{port}.log"
    log.touch(mode=0o600)
    return log
