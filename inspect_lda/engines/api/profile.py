"""What is known of each kind of endpoint before it is asked anything: `profiles.yaml`.

A profile is data. It says how a question is put and where the answer is, which the code
in `wire` carries out; what an endpoint then really does is for the probe to find out.
"""

import datetime
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from inspect_lda.engines.api.address import Address
from inspect_lda.errors import LDAError, nearest

Wire = Literal["llamacpp", "completions", "sglang", "text"]


class Source(BaseModel):
    """Where a profile's facts are from.

    Attributes:
        what: Documentation, version of the source code that was read, or of the server
            that was run.
        date: When it was looked up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    date: datetime.date


class Profile(BaseModel):
    """How one kind of endpoint is spoken to.

    Attributes:
        name: As users write it.
        title: As people read it.
        wire: The code that speaks to it; None if no code does.
        tested: The project's tests run against a real one.
        ran: The real one that the dialect was tried on by hand, if that is all.
        sources: Where this is from.
        refused: Why LDA over it cannot be exact; None if it can.
        route: Where prompts go; with a slash in front, below the server.
        always: Fields sent with every request.
        neutral: Sampling parameters that change nothing, sent with every request: a
            server's own defaults would change a draft.
        top: Parameters that ask for most likely tokens; `{k}` stands for how many.
        whole: The number that asks for the whole vocabulary; None if it is the size
            of the vocabulary.
        most: Longest list of most likely tokens, as documented; None is not limited.
        more: How an operator raises that limit.
        given: Parameter that takes ids whose log-probabilities are wanted.
        most_given: How many ids that takes; None is not limited.
        truncate: Parameter that restricts sampling to the most likely tokens.
        seed: Parameter of the seed.
        seed_bits: Bits a seed may have.
        echo: Parameter that asks for log-probabilities of the prompt's tokens.
        many_prompts: Several prompts in one request.
        drafts: Several tokens in one request, each with its list.
        key_env: Environment variable with the key of this service.
        hosts: The service's hosts; nobody else is sent that key.
        owner: What `/v1/models` says in `owned_by`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    wire: Wire | None = None
    tested: bool = False
    ran: str | None = None
    sources: tuple[Source, ...] = Field(min_length=1)
    refused: str | None = None
    route: str = "completions"
    always: dict[str, Any] = {}
    neutral: dict[str, Any] = {}
    top: dict[str, Any] = {"logprobs": "{k}"}
    whole: int | None = None
    most: int | None = None
    more: str | None = None
    given: str | None = None
    most_given: int | None = None
    truncate: str | None = None
    seed: str = "seed"
    seed_bits: int = 31
    echo: str | None = None
    many_prompts: bool = True
    drafts: bool = True
    key_env: str | None = None
    hosts: tuple[str, ...] = ()
    owner: str | None = None

    def asking(self, k: int) -> dict[str, Any]:
        """The fields that ask for k most likely tokens."""
        return {name: k if v == "{k}" else v for name, v in self.top.items()}


@cache
def profiles() -> dict[str, Profile]:
    """Every profile by name."""
    folder = resources.files("inspect_lda.engines.api")
    text = folder.joinpath("profiles.yaml").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return {name: Profile(name=name, **entry) for name, entry in entries.items()}


def find_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        LDAError: If there is none.
    """
    known = profiles()
    if name not in known:
        raise LDAError(f"dialect={name!r}: {nearest(name, ['auto', *known])}")
    return known[name]


def profile_of_host(address: Address) -> Profile | None:
    """The profile of a public service, known by its host."""
    for profile in profiles().values():
        if address.host in profile.hosts:
            return profile
    return None
