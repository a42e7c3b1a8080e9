"""What a pair is asked while it is tested."""

from collections.abc import Sequence
from importlib.resources import files

import yaml
from inspect_ai.model import ChatMessageUser

from inspect_lda.chat.render import ChatRenderer

Prompt = tuple[int, ...]


def probe_texts() -> list[str]:
    """The self-test's own prompts."""
    file = files("inspect_lda.calibration") / "probes.yaml"
    texts: list[str] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return texts


def render_probes(
    renderer: ChatRenderer, texts: Sequence[str], room: int
) -> tuple[Prompt, ...]:
    """Token ids of prompts, as requests would bring them.

    Args:
        renderer: The run's own.
        texts: One user's message each.
        room: Most tokens of a prompt; of longer ones the last tokens are taken.
    """
    rendered = [renderer.render([ChatMessageUser(content=text)]).ids for text in texts]
    return tuple(ids[-max(1, room) :] for ids in rendered)
