"""Who grades: models bound to roles, never silently the model under test.

Without a bound role Inspect hands out the model under test, so that an amplified model
would grade itself. Here a missing role is an error.
"""

from inspect_ai.model import Model, ModelRole, model_roles
from inspect_ai.solver import Generate, Solver, TaskState, solver

from inspect_lda.errors import LDAError

GRADER = ModelRole("grader", required=True)
"""Grades every rollout."""

GRADER2 = ModelRole("grader2", required=True)
"""Confirms hits, where a scorer is asked for a second opinion."""


def bound(role: ModelRole) -> Model:
    """The model bound to a role.

    Raises:
        LDAError: If there is none, or more than one.
    """
    model = model_roles().get(role.name)
    if model is None:
        raise LDAError(
            f"no model for the role '{role.name}', which grades. Name one, and not the "
            f"model under test: --model-role {role.name}=openai/gpt-4o, or in Python "
            f"model_roles={{'{role.name}': …}}"
        )
    if isinstance(model, list):
        names = ", ".join(map(str, model))
        raise LDAError(
            f"role '{role.name}' holds {len(model)} models ({names}): need one. For a "
            f"second opinion on hits, use confirm='{GRADER2.name}' and that role"
        )
    return model


@solver
def graders_ready(roles: list[str]) -> Solver:
    """Stop an eval before its first rollout if a grader is missing.

    For `Task(setup=…)`: a scorer runs only after the first sample was generated, and a
    task cannot look up roles while it is built.

    Args:
        roles: Names of the roles that must be bound.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        for name in roles:
            bound(ModelRole(name, required=True))
        return state

    return solve
