"""An eval that knows nothing of amplification: two turns, a system message, a tool."""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser
from inspect_ai.scorer import includes
from inspect_ai.solver import (
    Generate,
    Solver,
    TaskState,
    chain,
    generate,
    solver,
    system_message,
    use_tools,
)
from inspect_ai.tool import Tool, tool


@tool
def add() -> Tool:
    """A calculator."""

    async def execute(x: int, y: int) -> int:
        """Add two numbers.

        Args:
            x: First number.
            y: Second number.

        Returns:
            Their sum.
        """
        return x + y

    return execute


@solver
def ask_again() -> Solver:
    """A second user turn."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state.messages.append(ChatMessageUser(content="And what is 2 plus 2?"))
        return await generate(state)

    return solve


@task
def conversation() -> Task:
    """Two turns with a tool at hand."""
    return Task(
        dataset=[
            Sample(id="sum", input="What is 1 plus 1?", target="4"),
            Sample(id="sea", input="Name a colour of the sea.", target="blue"),
        ],
        solver=chain(
            system_message("You are brief."), use_tools(add()), generate(), ask_again()
        ),
        scorer=includes(),
    )
