"""One token a step: both endpoints are asked at the same time, two requests a token."""

from inspect_lda.engines.api.rollout import Rollout


async def decode_stepwise(rollout: Rollout) -> None:
    """Decode a rollout to its end."""
    while not rollout.row.done:
        await rollout.step()
