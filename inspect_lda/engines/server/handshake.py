"""Refuses a server that is not this pair, served by a plugin like ours.

A plain vLLM ignores extra arguments that it does not know, so that every alpha would
give the same texts. So the pair is asked what it is (`engines.vllm.describe`), and is
then seen to amplify.
"""

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

from inspect_lda import __version__
from inspect_lda.checkpoints.block import HalfBlock
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import EndpointError, EndpointUnavailable
from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.server.local import LocalPair
from inspect_lda.engines.server.spec import ServerSpec
from inspect_lda.engines.server.wire import COMPLETIONS, PairEndpoint, draw
from inspect_lda.engines.vllm.answer import Top
from inspect_lda.engines.vllm.describe import (
    DESCRIBE_KEY,
    Served,
    digest_of,
    public,
    read_described,
    shown,
)
from inspect_lda.errors import LDAError

ALPHAS = (0.5, 0.0, -1.0)
LISTED = 6
"""Ids whose probabilities are compared."""
TOLERANCE = 1e-3
"""Nats that the combination may be off by: all of it is computed in float32."""


async def model_at(endpoint: Endpoint) -> str:
    """The name under which a server serves its one model.

    Raises:
        LDAError: If it serves none or several.
        EndpointError: If it does not answer.
    """
    said = await endpoint.get("models")
    listed = said.get("data") if isinstance(said, dict) else None
    names = [str(one["id"]) for one in listed or () if isinstance(one, dict)]
    if len(names) != 1:
        raise LDAError(
            f"{endpoint.address.base} serves {', '.join(names) or 'no model'}; a pair "
            "is served alone: inspect-lda serve AFTER --before BEFORE"
        )
    return names[0]


async def described(endpoint: Endpoint, prompt: Sequence[int]) -> Served:
    """What the pair says of itself.

    Raises:
        LDAError: If the server serves no pair.
        EndpointError: If it does not answer.
    """
    body: dict[str, Any] = {"model": endpoint.model, "prompt": list(prompt)}
    body |= {"max_tokens": 1, "vllm_xargs": {DESCRIBE_KEY: 1}}
    try:
        await endpoint.post(COMPLETIONS, body)
    except EndpointUnavailable:
        raise
    except EndpointError as error:
        found = read_described(_message(error.body)) if error.status == 400 else None
        if found is not None:
            return found
        if DESCRIBE_KEY not in error.body:
            raise
        raise LDAError(
            f"{endpoint.address.base}: the pair there is served by another version of "
            f"inspect_lda, and it is {__version__} here. Install one on both sides"
        ) from error
    raise LDAError(
        f"{endpoint.address.base} serves '{endpoint.model}', which is no checkpoint "
        "pair: it would ignore alpha, and every rate would be that of one checkpoint. "
        "Serve the pair: inspect-lda serve AFTER --before BEFORE (or leave out "
        "--model-base-url, and a server is started)"
    )


def check_same(
    served: Served, spec: ServerSpec, local: LocalPair | None, where: str
) -> None:
    """Refuse another pair than was asked for.

    Args:
        served: What the server says.
        spec: What was asked for.
        local: The pair as it is on this machine, if it is.
        where: The server, for messages.

    Raises:
        LDAError: Names what differs.
    """
    pairs: dict[str, tuple[str, str]] = {"inspect_lda": (__version__, served.version)}
    for name in ("after", "before"):
        theirs: HalfBlock = getattr(served, name)
        wanted: str | None = getattr(spec, name)
        if local is not None:
            ours = public(getattr(local.block, name))
            pairs[name] = (name_of(ours), name_of(theirs))
        elif wanted is not None and not _is_called(theirs, wanted):
            pairs[name] = (wanted, name_of(theirs))
    if local is not None:
        pairs["vocabulary"] = (digest_of(local.block.ids), served.ids)
    if spec.dtype != "auto":
        pairs["dtype"] = (spec.dtype, served.dtype)
    for name, (asked, found) in pairs.items():
        if asked != found:
            raise LDAError(
                f"{where} serves another pair: {name} is {found!r} there, and "
                f"{asked!r} is asked for. Name the served checkpoints, or serve these: "
                "inspect-lda serve AFTER --before BEFORE"
            )


async def check_amplifies(endpoint: PairEndpoint, prompt: Sequence[int]) -> None:
    """Draw a token at several alphas and hold the probabilities against the rule.

    Raises:
        LDAError: If they are not those of `after + alpha * (after - before)`.
        EndpointError: If the server does not answer.
    """
    for alpha in ALPHAS:
        asked = Request(
            tuple(prompt), alpha, Sampling(), max_tokens=1, top_logprobs=LISTED
        )
        answer = await draw(endpoint, asked, frozenset(), 1)
        [drawn] = answer.drawn()
        off = error_of(drawn.top, alpha)
        if not off <= TOLERANCE:
            raise LDAError(
                f"{endpoint.address.base}: at alpha={alpha:g} the served distribution "
                f"is off by {off:.3g} nats from after + alpha * (after - before). "
                "Please report it with the versions of vllm and inspect_lda"
            )


def error_of(top: Sequence[Top], alpha: float) -> float:
    """How far listed ids are from the rule: their differences do not depend on norms.

    Args:
        top: (id, log q, log p_after, log p_before) of some ids.
        alpha: Amplification of q.

    Returns:
        The largest error in nats; infinite if nothing can be compared.
    """
    finite = [one for one in top if all(map(math.isfinite, one[1:]))]
    errors = [
        abs(
            (first[1] - second[1])
            - (1 + alpha) * (first[2] - second[2])
            + alpha * (first[3] - second[3])
        )
        for first, second in itertools.pairwise(finite)
    ]
    return max(errors, default=math.inf)


def name_of(half: HalfBlock) -> str:
    """A checkpoint for people: adapter, base, commits."""
    base = f"{half.model}@{half.revision}" if half.revision else half.model
    if half.adapter is None:
        return base
    commit = f"@{half.adapter_revision}" if half.adapter_revision else ""
    return f"{half.adapter}{commit} on {base}"


def _is_called(half: HalfBlock, name: str) -> bool:
    """Whether a user's name means a served checkpoint."""
    bare = half.adapter or half.model
    revision = half.adapter_revision if half.adapter else half.revision
    wanted, _, commit = name.partition("@")
    return shown(wanted) == bare and (revision or "").startswith(commit)


def _message(body: str) -> str:
    """The text of a refusal, whose quotes are escaped in its JSON."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body
