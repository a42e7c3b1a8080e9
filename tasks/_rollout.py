"""The solver: one completion, or one teacher-forced score, at the sample's alpha."""

from dataclasses import dataclass
from typing import Any

from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from inspect_lda.arms import CONTROL, EXACT, IDENTITY, PLACEBO, SWEEP
from inspect_lda.chat import RenderForm
from inspect_lda.seeds import derive_seed
from inspect_lda.tasks._behaviour import require_lda
from inspect_lda.tasks._identity import identity_pair
from inspect_lda.values import MAX_ALSO

CONNECTIONS = 64
"""Requests in flight, unless --max-connections says otherwise. Inspect would start with
20 and share them among the arms, which leaves half of an engine's batch empty."""


@dataclass(frozen=True)
class Asking:
    """How all requests of a task are sampled.

    Attributes:
        temperature: Of every request, the control pair's included.
        max_tokens: Likewise.
        seed: Base of the requests' own seeds.
        render: "chat", "none" (no template) or "user" (the model writes the user).
    """

    temperature: float
    max_tokens: int
    seed: int = 0
    render: RenderForm = "chat"


def eval_config(temperature: float, max_tokens: int) -> GenerateConfig:
    """What the log says of every request of a task."""
    return GenerateConfig(
        temperature=temperature, max_tokens=max_tokens, max_connections=CONNECTIONS
    )


@solver
def rollout(
    alphas: list[float],
    temperature: float,
    max_tokens: int,
    seed: int,
    render: RenderForm = "chat",
) -> Solver:
    """Ask the pair once, at the alpha and in the arm of the sample's metadata.

    Args:
        alphas: The sweep, at each of which the "exact" arm scores the target, and the
            sweep's own rollouts are measured: mixtures of them need it (docs/rates.md).
        temperature: Of every request, the control pair's included.
        max_tokens: Likewise.
        seed: Base of the requests' own seeds.
        render: How prompts become text.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        arm, alpha = state.metadata["arm"], state.metadata["alpha"]
        if arm == EXACT and state.epoch > 1:
            return state  # it has no randomness: once is enough
        options: dict[str, Any] = {"alpha": alpha}
        if arm == EXACT:
            options = {"score": {"target": state.target.text, "alphas": alphas}}
        if arm == SWEEP and temperature > 0 and 1 < len(alphas) <= MAX_ALSO:
            options["also"] = list(alphas)
        if arm == PLACEBO:
            options["placebo"] = True
        if render != "chat":
            options["render"] = render
        # The twin of a sample at alpha 0 has to draw as that one does.
        stream = state.metadata.get("twin", state.sample_id)
        state.output = await _model(arm).generate(
            state.messages,
            config=GenerateConfig(
                temperature=temperature,
                max_tokens=max_tokens,
                seed=derive_seed(seed, stream, state.epoch),
                extra_body={"lda": options},
            ),
        )
        if state.output.error:
            raise RuntimeError(f"{state.sample_id}: {state.output.error}")
        state.messages.append(state.output.message)
        return state

    return solve


def _model(arm: str) -> Model:
    model = get_model(role="control", required=True) if arm == CONTROL else get_model()
    require_lda(model)
    return identity_pair(model) if arm == IDENTITY else model
