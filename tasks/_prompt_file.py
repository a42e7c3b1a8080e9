"""The schema of a prompt set: what a file may say, and what it means."""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

SCHEMA = "inspect_lda.prompts/1"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Kind = Literal["prompt", "prefix"]


class Prompt(BaseModel):
    """One prompt.

    Attributes:
        id: Unique in its set; part of sample ids, so keep it stable.
        input: The user's turn, without blanks around it.
        system: System message; None takes the set's default, "" has none at all.
        category: For breakdowns.
        group: Cluster key: paraphrases and variants of one idea share it. Defaults to
            the id.
        variant: Which member of a paired design this is, e.g. "plain" or "json".
        control: Whether the behaviour must never show here (a benign twin, say).
        target: Known string of the behaviour, for exact probabilities.
        trigger: Known string that sets the behaviour off.
        license: None takes the file's.
        behaviour: None takes the file's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Text
    input: Text
    system: str | None = None
    category: str = ""
    group: str = ""
    variant: str = ""
    control: bool = False
    target: Text | None = None
    trigger: Text | None = None
    license: Text | None = None
    behaviour: Text | None = None

    @property
    def cluster(self) -> str:
        """The group, or the prompt itself."""
        return self.group or self.id


class Prefix(Prompt):
    """The start of a user's turn that the model itself continues, kept to the letter.

    Its input may be empty or end in a line break: after either, a model continues
    differently than after the stripped text.
    """

    input: str


PREFIXES = TypeAdapter(tuple[Prefix, ...])


class Defaults(BaseModel):
    """What all prompts of a set share: an optional system message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str | None = None


class PromptFile(BaseModel):
    """The file, field by field. `license` may say "unknown", but must say something.

    `kind` says what `input` is: the user's whole turn ("prompt"), or the start of one
    ("prefix", see `Prefix`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["inspect_lda.prompts/1"] = Field(alias="schema")
    id: Text
    version: int
    license: Text
    behaviour: Text
    kind: Kind = "prompt"
    defaults: Defaults = Defaults()
    prompts: tuple[Prompt, ...] = Field(min_length=1)

    @field_validator("prompts", mode="before")
    @classmethod
    def _to_the_letter(cls, rows: object, info: ValidationInfo) -> object:
        if info.data.get("kind") != "prefix":
            return rows
        return PREFIXES.validate_python(rows)

    @property
    def licenses(self) -> list[str]:
        """Of all prompts, each once."""
        return sorted({prompt.license or self.license for prompt in self.prompts})

    def complete(self, prompt: Prompt) -> Prompt:
        """The prompt, with what it leaves to the file filled in."""
        system = self.defaults.system if prompt.system is None else prompt.system
        return prompt.model_copy(
            update={
                "system": system,
                "license": prompt.license or self.license,
                "behaviour": prompt.behaviour or self.behaviour,
            }
        )
