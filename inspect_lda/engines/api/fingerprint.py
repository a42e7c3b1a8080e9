"""Is it still the same model? One fixed question, asked again from time to time."""

import math
from dataclasses import dataclass

from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import EndpointError
from inspect_lda.engines.api.listing import Listing
from inspect_lda.engines.api.wire.base import Wire

LENGTH = 20
QUIET = 1e-4
"""Nats: below this much noise in the probe, a server computes in single precision."""
TOLERANCE = 0.05
"""Nats that a quiet server's answer may change by."""
NOISY_TOLERANCE = 0.3
"""The same in half precision: logits of 16 to 32 are an eighth apart in bfloat16, and
how they are rounded depends on what else is computed."""


@dataclass(frozen=True)
class Fingerprint:
    """What a model says after the fixed prompt of its dialect.

    Attributes:
        listing: Its most likely tokens there.
        tolerance: A change up to this many nats is noise.
    """

    listing: Listing
    tolerance: float

    def change(self, other: "Fingerprint") -> float:
        """Largest change of a log-probability, nats.

        A token that is listed once only has changed at least by its distance from the
        other list's end.
        """
        changes = [0.0]
        for one, two in ((self, other), (other, self)):
            for token, value in one.listing.logprobs.items():
                again = two.listing.logprobs.get(token)
                if again is None:
                    changes.append(value - two.listing.floor)
                elif not value == again == -math.inf:
                    changes.append(abs(value - again))
        return max(changes)

    def require_same(self, now: "Fingerprint", endpoint: Endpoint) -> None:
        """Refuse to go on with another model.

        Raises:
            EndpointError: If the model changed since.
        """
        change = self.change(now)
        if change > self.tolerance:
            raise EndpointError(
                f"{endpoint.model} at {endpoint.address.base} is not the model it was "
                "when the run began: a log-probability of a fixed prompt changed by "
                f"{change:.3g} nats (noise is up to {self.tolerance:.3g}). Was it "
                "replaced behind the same name? Run again with one model throughout"
            )


async def fingerprint(wire: Wire) -> Fingerprint:
    """Ask the fixed question.

    Raises:
        EndpointError: If the endpoint does not answer it.
    """
    able = wire.able
    limits = [n for n in (LENGTH, able.max_top, able.vocabulary) if n is not None]
    [listing] = await wire.top([wire.fixed_prompt], min(limits))
    noisy = max(NOISY_TOLERANCE, 10 * able.noise)
    return Fingerprint(listing, TOLERANCE if able.noise < QUIET else noisy)
