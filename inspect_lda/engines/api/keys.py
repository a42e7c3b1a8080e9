"""Where keys come from: never from model args, which logs hold.

By Inspect's conventions a key is an argument of the model or an environment variable
named after the provider. A service's own variable (`TOGETHER_API_KEY`) is sent to the
hosts of that service alone, and `after`'s key to `before` only if both are one server.
"""

import os

from pydantic import SecretStr

from inspect_lda.engines.api.address import Address
from inspect_lda.engines.api.profile import profile_of_host

AFTER_KEY = "LDA_API_KEY"
BEFORE_KEY = "LDA_BEFORE_API_KEY"


def after_key(address: Address, argument: str | None = None) -> SecretStr | None:
    """The key of `after`'s endpoint, if there is one; local servers need none.

    Args:
        address: Where `after` is.
        argument: The key the model was constructed with.
    """
    return _secret(argument) or _variable(AFTER_KEY) or _of_service(address)


def before_key(
    address: Address, after: Address, argument: str | None = None
) -> SecretStr | None:
    """The key of `before`'s endpoint, if there is one.

    Args:
        address: Where `before` is.
        after: Where `after` is.
        argument: The key the model was constructed with, which is `after`'s.
    """
    shared = None
    if address.origin == after.origin:
        shared = _secret(argument) or _variable(AFTER_KEY)
    return _variable(BEFORE_KEY) or shared or _of_service(address)


def _of_service(address: Address) -> SecretStr | None:
    profile = profile_of_host(address)
    if profile is None or profile.key_env is None:
        return None
    return _variable(profile.key_env)


def _variable(name: str) -> SecretStr | None:
    return _secret(os.environ.get(name))


def _secret(value: str | None) -> SecretStr | None:
    return SecretStr(value.strip()) if value and value.strip() else None
