"""Does an endpoint mean the same by an id as the tokenizer here?

Ids go in and come out, so another vocabulary behind them would not be noticed: the
text that is made of them would be nonsense, or worse, sense.
"""

from typing import Any, Protocol

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import EndpointError, EndpointUnavailable
from inspect_lda.errors import LDAError

PROBE = (
    "Hello world, then the others gathered there! It's 12,345.67 at 9:30am; two "
    "(or three) lines. def f(x): return {'a': [1, 2]} # CamelCase_snake"
)
_ROUTES = {
    "llamacpp": ("tokens", "content"),
    "vllm": ("tokens", "prompt"),
    "vllm-lists": ("tokens", "prompt"),
    "sglang": ("tokens", "text"),
}
"""How `/detokenize` takes ids, and where its answer has the text."""


class Decoder(Protocol):
    """What is needed of a tokenizer."""

    def encode(self, text: str) -> Ids:
        """Ids of a text."""
        ...

    def decode(self, ids: Ids) -> str:
        """The text of ids."""
        ...


async def check_texts(
    endpoint: Endpoint, dialect: str, tokenizer: Decoder, name: str
) -> None:
    """Have the endpoint write out the ids of a text, where it has a way to.

    Args:
        endpoint: Where to ask.
        dialect: Name of its profile.
        tokenizer: The one used here.
        name: `after` or `before`, for the error.

    Raises:
        LDAError: If it writes another text.
    """
    if dialect not in _ROUTES:
        return
    takes, gives = _ROUTES[dialect]
    ids = tokenizer.encode(PROBE)
    body = {"model": endpoint.model, takes: list(ids)}
    try:
        answer: Any = await endpoint.post("/detokenize", body)
    except EndpointUnavailable:
        raise
    except EndpointError:
        return  # an older server without this route
    there = answer.get(gives) if isinstance(answer, dict) else None
    here = tokenizer.decode(ids)
    # Some write a text's first space, some do not.
    if isinstance(there, str) and there.strip() != here.strip():
        raise LDAError(
            f"{name}: {endpoint.model} at {endpoint.address.base} writes the ids of "
            f"{here[:40]!r} as {there[:40]!r}: its tokens are not those of the "
            "tokenizer used here. Give the one of the served model: -M "
            "tokenizer=org/name"
        )
