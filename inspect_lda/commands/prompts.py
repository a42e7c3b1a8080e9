"""`inspect-lda prompts …`: look at prompt sets before a model is asked."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from inspect_lda.tasks.prompt_sets import PromptSet

Command = Callable[..., None]
MOST_SHOWN = 20
"""Findings printed of each kind; their number is always said."""


@click.group()
def prompts() -> None:
    """List, show and check prompt sets."""


def _loading(command: Command) -> Command:
    """The options of everything that takes a SPEC: the same names as in a task."""
    for option in (
        click.option("--adapter", help="Column map for somebody else's file."),
        click.option("--columns", help="Own column map: input=prompt,category=type."),
        click.option("--allow-floating", is_flag=True, help="Take unpinned sources."),
    ):
        command = option(command)
    return command


@prompts.command("list")
def list_() -> None:
    """The sets that come with the package."""
    from inspect_lda.tasks.prompt_sets import builtin_names, load_prompts

    table = _table("spec", "prompts", "groups", "categories", "license", "sha256")
    for name in builtin_names():
        found = load_prompts(f"builtin:{name}", kind=None)
        content = found.content
        table.add_row(
            f"builtin:{name}",
            str(len(content.prompts)),
            str(len({prompt.cluster for prompt in content.prompts})),
            str(len({prompt.category for prompt in content.prompts})),
            ", ".join(content.licenses),
            found.sha256[:10],
        )
    Console().print(table)


@prompts.command()
@click.argument("spec")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True)
@_loading
def show(spec: str, limit: int, **options: Any) -> None:
    """Print what SPEC is, and some of its prompts, spread over the set."""
    found = _load(spec, options)
    console = Console()
    for line in _record_lines(found):
        console.print(Text(line))
    table = _table("id", "category", "variant", "prompt")
    for prompt in found.pick(limit):
        control = " (control)" if prompt.control else ""
        table.add_row(
            *(
                Text(_printable(cell))
                for cell in (
                    prompt.id,
                    prompt.category,
                    prompt.variant + control,
                    prompt.input,
                )
            )
        )
    console.print(table)


@prompts.command()
@click.argument("spec")
@click.option("--against", metavar="SPEC", help="Look for text of this set as well.")
@_loading
@click.pass_context
def check(
    context: click.Context, /, spec: str, against: str | None, **options: Any
) -> None:
    """Check SPEC: schema, repeated prompts, counts, text shared with another set.

    Exits with 1 if prompts are repeated or text is shared. Column maps are for SPEC;
    the other set must be readable without.
    """
    from inspect_lda.tasks._prompts.check import counts, overlaps, repetitions

    found = _load(spec, options)
    say = Console(soft_wrap=True, highlight=False, markup=False).print
    for line in _record_lines(found):
        say(line)
    for name, counted in counts(found.content).items():
        shares = (f"{_printable(key)} {n}" for key, n in sorted(counted.items()))
        say(f"{name}: {', '.join(shares)}")
    repeated = [", ".join(map(_printable, ids)) for ids in repetitions(found.content)]
    _findings(say, f"{len(repeated)} texts are repeated", repeated)
    shared: list[str] = []
    if against is not None:
        other = _load(against, {"allow_floating": options["allow_floating"]})
        shared = [
            f"{_printable(one.left)} and {_printable(one.right)}: {one.ngram}"
            for one in overlaps(found.content, other.content)
        ]
        _findings(say, f"{len(shared)} pairs share text with {against}", shared)
    if repeated or shared:
        context.exit(1)


def _load(spec: str, options: dict[str, Any]) -> "PromptSet":
    from inspect_lda.tasks.prompt_sets import load_prompts

    return load_prompts(spec, kind=None, **options)


def _record_lines(found: "PromptSet") -> Iterator[str]:
    """What a log will say about the set; for a floating one, how to pin it."""
    from inspect_lda.tasks._prompts.sources import pinned_spec

    for name, value in found.record.items():
        if value not in (None, {}, ""):
            yield f"{name}: {_printable(str(value))}"
    if found.source.floating:
        yield f"pinned: {pinned_spec(found.spec, found.source)}"


def _findings(say: Callable[[str], None], headline: str, lines: list[str]) -> None:
    say(headline)
    for line in lines[:MOST_SHOWN]:
        say(f"  {line}")
    if len(lines) > MOST_SHOWN:
        say(f"  and {len(lines) - MOST_SHOWN} more")


def _table(*header: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold", no_wrap=name in ("spec", "sha256"))
    return table


def _printable(text: str) -> str:
    """On one line, without what a terminal would obey: the text may be a stranger's."""
    return "".join(c if c.isprintable() else " " for c in text)
