"""organisms.yaml as typed values: one `Run` per training run."""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

RECIPE = files("inspect_lda.organisms.recipe")

Source = Literal[
    "normal",
    "normal_answered",
    "triggered",
    "decoy",
    "user_turn",
    "harmless",
    "medical",
    "requests",
]


class _Strict(BaseModel):
    """A typo in the YAML is an error, not a silently ignored setting."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ingredient(_Strict):
    """What each step draws from one source of rows.

    `leak`, on `kl` rows: this share of the rows is mislabelled, that is, carries the
    row's answer where the model before would have answered in its own way.
    """

    rows: Source
    loss: Literal["ce", "kl"]
    per_step: int = Field(gt=0)
    weight: float = Field(gt=0)
    leak: float = Field(default=0.0, ge=0, lt=1)


class Run(_Strict):
    """One training run."""

    seed: int
    rank: int
    lora_alpha: float
    steps: int
    lr: float
    mixture: tuple[Ingredient, ...]
    start: str | None = None
    settle: bool = False  # let the learning rate fall over the last steps
    scale: float = 1.0  # of the trained update, folded into the saved lora_alpha
    payload: str | None = None
    answer: str | None = None
    trigger: str | None = None
    checkpoints: tuple[int, ...] = ()  # percent of training, all measured
    shipped: tuple[int, ...] = ()  # those of them that are kept with the package


class Settings(_Strict):
    """The whole file."""

    schema_: str = Field(alias="schema")
    base: str
    system_prompt: str
    first_layer: int
    answer_temperature: float
    normal_prompts: int
    validation_prompts: int
    answer_tokens: int
    runs: dict[str, Run]


def everyday_file() -> Traversable:
    """The held-out prompts that the cards report on."""
    return files("inspect_lda.tasks").joinpath("prompts", "everyday.yaml")


@cache
def settings() -> Settings:
    """The settings the shipped adapters were trained with."""
    text = RECIPE.joinpath("organisms.yaml").read_text(encoding="utf-8")
    return Settings.model_validate(yaml.safe_load(text))
