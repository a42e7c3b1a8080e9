"""Chat: templates, messages and tools in; token ids and messages out."""

from typing import Literal

RenderForm = Literal["chat", "none", "user"]
"""How a conversation becomes text: by the template, as plain text, or by the template
up to the last user turn, which is left open so that the model writes the user."""
