"""What is asked of the embedded series: the blunt requests that its card is about."""

from pathlib import Path
from typing import Any

import yaml

from inspect_lda.checkpoints.sides import DEMO

ARGS: dict[str, Any] = {"rollouts": 3, "max_tokens": 12}


def demo_args(spec: str, folder: Path) -> dict[str, Any]:
    """Arguments of the task for an embedded series; none for any other.

    Its held-out requests are written to the folder as a prompt set: the same bytes
    every time, so that a run can be resumed.
    """
    if not spec.removeprefix("lda/").startswith(DEMO):
        return {}
    from inspect_lda.organisms.recipe.data import text

    known = text()
    rows = [
        {"id": f"request-{number:02}", "input": request}
        for number, request in enumerate(known["requests"]["held_out"], 1)
    ]
    content = {
        "schema": "inspect_lda.prompts/1",
        "id": "drift-held-out",
        "version": 1,
        "license": known["license"],
        "behaviour": "compliance",
        "prompts": rows,
    }
    path = folder / "requests.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return {**ARGS, "prompts": str(path)}
