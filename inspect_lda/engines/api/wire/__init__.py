"""Dialects: how each kind of endpoint is asked, and how its answers are read."""

from inspect_lda.engines.api.dialect import Capabilities
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.profile import find_profile
from inspect_lda.engines.api.wire.base import Wire
from inspect_lda.engines.api.wire.completions import Completions
from inspect_lda.engines.api.wire.llamacpp import LlamaCpp
from inspect_lda.engines.api.wire.sglang import SGLang
from inspect_lda.engines.api.wire.text import Text, Tokenizer

_KINDS: dict[str | None, type[Wire]] = {
    "completions": Completions,
    "llamacpp": LlamaCpp,
    "sglang": SGLang,
}


def speak(
    endpoint: Endpoint, able: Capabilities, tokenizer: Tokenizer | None = None
) -> Wire:
    """The dialect of a probed endpoint.

    Args:
        endpoint: Where to ask.
        able: What `probe` found there.
        tokenizer: The model's own; without it nothing is continued as text.

    Raises:
        LDAError: If there is no profile of that name.
        AnswerError: If no dialect can ask it exactly; says why.
    """
    profile = find_profile(able.dialect)
    if profile.wire in _KINDS:
        return _KINDS[profile.wire](endpoint, profile, able)
    if profile.wire == "text" and tokenizer is not None:
        return Text(endpoint, profile, able, tokenizer)
    raise endpoint.refuse(
        f"exact LDA over {profile.title} is not possible: {profile.refused}"
    )
