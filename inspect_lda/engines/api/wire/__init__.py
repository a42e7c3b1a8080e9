"""Dialects: how each kind of endpoint is asked, and how its answers are read."""

from inspect_lda.engines.api.dialect import Capabilities
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.profile import find_profile
from inspect_lda.engines.api.wire.base import Wire


def speak(endpoint: Endpoint, able: Capabilities) -> Wire:
    """The dialect of a probed endpoint.

    Raises:
        LDAError: If there is no profile of that name.
        AnswerError: If no dialect speaks to it by token ids.
    """
    from inspect_lda.engines.api.wire.llamacpp import LlamaCpp

    profile = find_profile(able.dialect)
    kinds: dict[str | None, type[Wire]] = {"llamacpp": LlamaCpp}
    if profile.wire not in kinds:
        raise endpoint.refuse(
            f"LDA over {profile.title} is not exact: {profile.refused}"
        )
    return kinds[profile.wire](endpoint, profile, able)
