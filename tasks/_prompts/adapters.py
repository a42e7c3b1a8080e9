"""Column maps: how the rows of somebody else's prompt set become prompts.

A map is data (`tasks/adapters/NAME.yaml`): which columns there must be, and for every
field of a prompt the rules that fill it. It holds no prompt.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from inspect_lda.errors import LDAError, nearest
from inspect_lda.tasks._prompt_file import Prompt

FIELDS = tuple(Prompt.model_fields)
OWN = "columns"
"""The adapter in the record where the user, or the rows themselves, name the fields."""
Columns = str | Sequence[str] | Mapping[str, str]


class FirstTurn(BaseModel):
    """Where a turn says who speaks and what; and what the user is called there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speaker: str
    user: tuple[str, ...]
    text: str


class Rule(BaseModel):
    """One way to get a value; it has none where its column is missing or empty.

    Attributes:
        column: The column it is taken from.
        join: Columns put one under the other, empty ones left out.
        between: What stands between joined columns.
        constant: The value itself.
        pattern: Only the first group of this regular expression is taken.
        values: What a cell says → what it means; anything else is an error.
        each: The column holds a list, and every entry makes a prompt of its own.
        first_turn: The column holds a conversation that starts with the user.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = ""
    join: tuple[str, ...] = ()
    between: str = "\n\n"
    constant: str = ""
    pattern: str = ""
    values: dict[str, str] = {}
    each: bool = False
    first_turn: FirstTurn | None = None

    @model_validator(mode="after")
    def _has_one_origin(self) -> "Rule":
        if sum(map(bool, (self.column, self.join, self.constant))) != 1:
            raise ValueError("give one of column, join and constant")
        return self


class Adapter(BaseModel):
    """A map, field by field.

    Attributes:
        title: Whose data it reads.
        behaviour: What the set is about, in the prompts' words.
        required: Columns that every row has.
        optional: Columns that may be there as well; any other column speaks against
            this map when one is looked for.
        fields: Field of a prompt → rules, of which the first that has a value wins.
        judges: Column with the rubrics that belong to the prompts (name → text).
        keep: Column → regular expression; other rows are left out and counted.
        longest: Longer inputs (in characters) are left out and counted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    behaviour: str
    required: tuple[str, ...] = Field(min_length=1)
    optional: tuple[str, ...] = ()
    fields: dict[str, tuple[Rule, ...]]
    judges: str = ""
    keep: dict[str, str] = {}
    longest: int | None = None

    @field_validator("fields")
    @classmethod
    def _are_fields_of_a_prompt(
        cls, value: dict[str, tuple[Rule, ...]]
    ) -> dict[str, tuple[Rule, ...]]:
        if "input" not in value or not value.keys() <= set(FIELDS):
            raise ValueError(f"map input, and nothing but {', '.join(FIELDS)}")
        return value

    def fits(self, columns: set[str]) -> bool:
        """Whether these columns are the ones that this map is for."""
        required = set(self.required)
        return required <= columns <= required | set(self.optional)


@cache
def adapters() -> dict[str, Adapter]:
    """The maps that come with the package, by name."""
    folder = files("inspect_lda.tasks") / "adapters"
    found = [
        Adapter.model_validate(yaml.safe_load(entry.read_text(encoding="utf-8")))
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    ]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}


def choose(
    spec: str, found: set[str], adapter: str | None, columns: Columns | None
) -> Adapter:
    """The map for a set with these columns: the one asked for, or the one that fits.

    Args:
        spec: For error messages.
        found: The columns of the rows.
        adapter: Name of a map, if the user gave one.
        columns: The user's own map: `input=prompt,category=type`.

    Raises:
        LDAError: If there is no such map, both are given, or not exactly one fits.
    """
    if adapter is not None and columns is not None:
        raise LDAError(f"adapter={adapter!r} and columns={columns!r}: give one of them")
    if columns is not None:
        return _own_map(spec, _pairs(columns), found)
    known = adapters()
    if adapter is not None:
        if adapter not in known:
            raise LDAError(f"adapter={adapter!r}: {nearest(adapter, known)}")
        return known[adapter]
    if "input" in found and found <= set(FIELDS):
        return _own_map(spec, {name: name for name in FIELDS if name in found}, found)
    fitting = [one for one in known.values() if one.fits(found)]
    if len(fitting) == 1:
        return fitting[0]
    raise LDAError(
        f"prompts={spec!r}: {'more than one' if fitting else 'no'} adapter fits its "
        f"columns ({', '.join(sorted(found))}). Give adapter=NAME "
        f"({'; '.join(map(_needs, fitting or known.values()))}) or "
        "columns=input=COLUMN,category=COLUMN"
    )


def _own_map(spec: str, pairs: Mapping[str, str], found: set[str]) -> Adapter:
    for field, column in pairs.items():
        if field not in FIELDS:
            raise LDAError(f"columns: field {field!r}: {nearest(field, FIELDS)}")
        if column not in found:
            raise LDAError(
                f"columns: prompts={spec!r} has no column {column!r}: "
                f"{nearest(column, found)}"
            )
    if "input" not in pairs:
        raise LDAError(
            f"columns={dict(pairs)}: say which column is the input, e.g. input=prompt "
            f"(there are {', '.join(sorted(found))})"
        )
    return Adapter(
        name=OWN,
        title="columns as the user named them",
        behaviour="unknown",
        required=(pairs["input"],),
        fields={field: (Rule(column=column),) for field, column in pairs.items()},
    )


def _pairs(columns: Columns) -> dict[str, str]:
    """`"input=q,category=cat"`, or the list that -T makes of it, as a mapping."""
    if isinstance(columns, Mapping):
        return dict(columns)
    items = columns.split(",") if isinstance(columns, str) else columns
    pairs: dict[str, str] = {}
    for item in items:
        field, equals, column = (part.strip() for part in str(item).partition("="))
        if not (field and equals and column) or field in pairs:
            raise LDAError(
                f"columns={columns!r}: need FIELD=COLUMN, each field once, with commas "
                f"between; fields are {', '.join(FIELDS)}"
            )
        pairs[field] = column
    return pairs


def _needs(one: Adapter) -> str:
    return f"{one.name} needs {', '.join(one.required)}"
