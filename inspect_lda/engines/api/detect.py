"""Which server answers at an address, and which model it serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import EndpointError
from inspect_lda.engines.api.profile import (
    Profile,
    find_profile,
    profile_of_host,
    profiles,
)

AMPLIFIED = "LDAForCausalLM"
"""Architecture of a checkpoint pair that a server runs as one model."""

_SIGNS = (
    ("/props", "default_generation_settings", "llamacpp"),
    ("/model_info", "is_generation", "sglang"),
    ("/get_model_info", "is_generation", "sglang"),
    ("/info", "docker_label", "tgi"),
    ("/api/version", "version", "ollama"),
    ("/version", "version", "vllm"),
)
"""A route, a field in its answer, and whose that is. The last signs are the vaguest."""


@dataclass(frozen=True)
class Identity:
    """What an endpoint says about itself.

    Attributes:
        profile: How it is spoken to.
        server: Name and version, if it says so.
        card: What `/v1/models` says about the model.
        vocabulary: Size of the vocabulary, if it says so.
        context_length: Tokens the context window holds, if it says so.
        amplifies: The model is an amplified pair itself.
    """

    profile: Profile
    server: str | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: int | None = None
    context_length: int | None = None
    amplifies: bool = False


async def identify(endpoint: Endpoint, dialect: str = "auto") -> Identity:
    """Find the profile of an endpoint, and what is known without asking the model.

    Args:
        endpoint: Where to ask.
        dialect: Name of a profile, or `auto`.

    Raises:
        LDAError: If there is no such profile.
        EndpointUnavailable: If nothing answers there.
        EndpointError: If the server does not serve the model.
    """
    known = find_profile(dialect) if dialect != "auto" else None
    found = known or profile_of_host(endpoint.address)
    if found is not None and found.wire is None:
        return Identity(found)
    cards = _cards(await _ask(endpoint, "models", None))
    profile = found or _owner(cards) or await _signs(endpoint)
    card = _card(endpoint, cards, profile)
    said = await _details(endpoint, profile)
    settings = _mapping(said.get("default_generation_settings"))
    meta = _mapping(card.get("meta"))
    architectures = said.get("architectures") or card.get("architectures") or ()
    version = said.get("version") or said.get("build_info")
    return Identity(
        profile,
        server=f"{profile.title} {version}" if version else profile.title,
        card=card,
        vocabulary=_whole(meta.get("n_vocab")),
        context_length=_whole(settings.get("n_ctx"))
        or _whole(card.get("max_model_len"))
        or _whole(card.get("context_length")),
        amplifies=AMPLIFIED in architectures,
    )


def _cards(answer: Any) -> list[Mapping[str, Any]]:
    listed = answer.get("data") if isinstance(answer, Mapping) else answer
    return [one for one in listed or () if isinstance(one, Mapping) and one.get("id")]


def _owner(cards: list[Mapping[str, Any]]) -> Profile | None:
    owners = {str(card.get("owned_by", "")).lower() for card in cards}
    for profile in profiles().values():
        if profile.owner in owners:
            return profile
    return None


async def _signs(endpoint: Endpoint) -> Profile:
    for route, sign, name in _SIGNS:
        if sign in _mapping(await _ask(endpoint, route, 0)):
            return find_profile(name)
    return find_profile("openai-compatible")


def _card(
    endpoint: Endpoint, cards: list[Mapping[str, Any]], profile: Profile
) -> Mapping[str, Any]:
    """The card of the model. Some servers answer for any name, with their one model."""
    names: list[str] = []
    for card in cards:
        own = [str(card["id"]), *map(str, card.get("aliases") or ())]
        own += [PurePath(name).name for name in own if name.endswith(".gguf")]
        if endpoint.model in own:
            return card
        names += own[:1]
    if names and not profile.hosts:
        raise EndpointError(
            f"{endpoint.model} at {endpoint.address.base}: the server does not serve "
            f"it. Served are: {', '.join(names[:20])}"
        )
    return {}


async def _details(endpoint: Endpoint, profile: Profile) -> Mapping[str, Any]:
    said: dict[str, Any] = {}
    for route, _, name in _SIGNS:
        if name == profile.name and not said:
            said.update(_mapping(await _ask(endpoint, route, 0)))
    return said


async def _ask(endpoint: Endpoint, route: str, retries: int | None) -> Any:
    """The answer of a route; None if the server does not know it."""
    try:
        return await endpoint.get(route, retries)
    except EndpointError as error:
        if error.status is None and route == "models":
            raise
        if error.status in {401, 402, 403}:
            raise
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
