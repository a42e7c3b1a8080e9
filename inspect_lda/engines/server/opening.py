"""From what was asked for to a pair that is known to be served."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from inspect_lda.engines.api.address import Address
from inspect_lda.engines.api.errors import EndpointUnavailable
from inspect_lda.engines.api.keys import after_key
from inspect_lda.engines.rows import Decoding
from inspect_lda.engines.server import handshake, servers
from inspect_lda.engines.server.launch import OwnedServer
from inspect_lda.engines.server.local import LocalPair, read_local, read_tokenizer
from inspect_lda.engines.server.replicas import Replicas
from inspect_lda.engines.server.spec import ServerSpec
from inspect_lda.engines.server.wire import PairEndpoint
from inspect_lda.engines.vllm.describe import Served
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

Check: TypeAlias = Callable[[PairEndpoint], Awaitable[Served]]

TIMEOUT = 3600.0
"""Seconds for a completion: it is sent when it is whole, after it waited in line."""
PROBE = "The quick brown fox"


@dataclass(frozen=True)
class ServedPair:
    """A pair that is served.

    Attributes:
        replicas: Who serves it.
        owned: The server, if this process started it.
        decoding: What all rows share.
        context_length: Tokens the context window holds.
        after_name: Name for logs, with the commit where there is one.
        before_name: The same of `before`.
        dtype: Of the bodies.
        head_dtype: As `-M head_dtype=` would say it.
    """

    replicas: Replicas
    owned: OwnedServer | None
    decoding: Decoding
    context_length: int
    after_name: str
    before_name: str
    dtype: str
    head_dtype: str

    @property
    def alive(self) -> bool:
        """Whether its server runs, as far as that is known here."""
        return self.owned is None or self.owned.alive


async def open_pair(spec: ServerSpec) -> ServedPair:
    """Find or start the servers, and see that they serve the pair.

    Raises:
        LDAError: If they do not, or none can be started.
        EndpointError: If none of them answers.
    """
    local = None
    if spec.tokenizer is None:
        local = await asyncio.to_thread(read_local, spec)
        for note in local.notes:
            logger.warning("%s: %s", spec.after, note)
    tokenizer = await asyncio.to_thread(read_tokenizer, spec)
    owned = None
    if local is not None and not spec.urls:
        owned = await servers.running(spec, local)
        endpoints = [
            PairEndpoint(owned.url, owned.model, key=owned.key, timeout=TIMEOUT)
        ]
    else:
        endpoints = [_endpoint(url, spec.after) for url in spec.urls]
    prompt = tuple(tokenizer(PROBE, add_special_tokens=False)["input_ids"])
    check = partial(_check, spec, local, prompt or (0,))
    replicas = Replicas(endpoints, check, retries=owned is None)
    try:
        return _pair(await _first(replicas, check), replicas, owned, local, tokenizer)
    except BaseException:
        replicas.close()
        raise


def _endpoint(url: str, name: str) -> PairEndpoint:
    address = Address.parse(url, "--model-base-url")
    return PairEndpoint(url, name, key=after_key(address), timeout=TIMEOUT)


async def _check(
    spec: ServerSpec,
    local: LocalPair | None,
    prompt: tuple[int, ...],
    endpoint: PairEndpoint,
) -> Served:
    if spec.urls:
        # What a pair is called there is for the server to say.
        endpoint.model = await handshake.model_at(endpoint)
    served = await handshake.described(endpoint, prompt)
    handshake.check_same(served, spec, local, endpoint.address.base)
    await endpoint.find_route(prompt)
    await handshake.check_amplifies(endpoint, prompt)
    return served


async def _first(replicas: Replicas, check: Check) -> list[Served]:
    """What every server says that answers; at least one does, and all the same."""
    said = await asyncio.gather(
        *(check(one.endpoint) for one in replicas.all), return_exceptions=True
    )
    found: list[Served] = []
    lost: EndpointUnavailable | None = None
    for replica, one in zip(replicas.all, said, strict=True):
        if isinstance(one, EndpointUnavailable):
            replica.failed()
            lost = one
            logger.warning("left out for now: %s", one)
        elif isinstance(one, BaseException):
            raise one
        else:
            replica.checked = True
            found.append(one)
    if not found and lost is not None:
        raise lost
    return found


def _pair(
    said: list[Served],
    replicas: Replicas,
    owned: OwnedServer | None,
    local: LocalPair | None,
    tokenizer: "PreTrainedTokenizerBase",
) -> ServedPair:
    first = said[0]
    if len({one.dtype for one in said}) > 1:
        dtypes = ", ".join(sorted({one.dtype for one in said}))
        raise LDAError(
            f"--model-base-url: the servers compute in {dtypes}, so that texts would "
            "depend on who draws them. Start all of them with one --dtype"
        )
    length = min(one.context_length for one in said)
    names = (
        (handshake.name_of(first.after), handshake.name_of(first.before))
        if local is None
        else (local.after_name, local.before_name)
    )
    return ServedPair(
        replicas=replicas,
        owned=owned,
        decoding=Decoding(
            tokenizer=tokenizer,
            eos_ids=frozenset(first.eos_ids),
            context_length=length,
            precision=first.precision,
            masked_ids=first.masked_ids,
        ),
        context_length=length,
        after_name=names[0],
        before_name=names[1],
        dtype=first.dtype,
        head_dtype="auto" if first.dtype == "float32" else "float32",
    )
