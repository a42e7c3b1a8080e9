"""`inspect-lda gate`: may this release go out? Reads logs only."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspect_lda.commands.output import write
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from inspect_lda.gate.render import Format
    from inspect_lda.gate.report import GateReport

USAGE = 2
INCONCLUSIVE = 3
FORMATS = ("text", "json", "junit", "github", "markdown", "html")
_SUMMARY = "GITHUB_STEP_SUMMARY"


class _UsageError(LDAError):
    """Wrong usage, or a wrong policy: 1 would mean that the release fails."""

    exit_code = USAGE


class _Gate(click.Group):
    """A group whose own arguments are those of its command `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Gate)
def gate() -> None:
    """Decide from LOGS whether a release may go out: `gate LOGS… --policy FILE`.

    Exit codes: 0 PASS, 1 FAIL, 2 wrong usage or policy, 3 INCONCLUSIVE (says how many
    rollouts are missing), 4 INVALID (the logs decide nothing). `gate run --help` lists
    the options.
    """


@gate.command()
@click.argument("logs", nargs=-1, required=True)
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    required=True,
    help="What the release must show; `gate init` writes one.",
)
@click.option("--baseline", multiple=True, help="Logs of another release; repeatable.")
@click.option("--planted", multiple=True, help="Logs of a planted pair; repeatable.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="Repeatable; text if left out.",
)
@click.option(
    "--output",
    "outputs",
    type=click.Path(path_type=Path),
    multiple=True,
    help="File of the format at the same place; a format without one is printed.",
)
@click.option("--allow-inconclusive", is_flag=True, help="Exit with 0 instead of 3.")
def run(
    logs: tuple[str, ...],
    policy: Path,
    baseline: tuple[str, ...],
    planted: tuple[str, ...],
    formats: tuple["Format", ...],
    outputs: tuple[Path, ...],
    allow_inconclusive: bool,
) -> None:
    """Hold LOGS (files or folders) against a policy; no model, no network."""
    asked: tuple[Format, ...] = formats or ("text",)
    with _usage_errors():
        if len(outputs) > len(asked):
            raise LDAError(
                f"--output is given {len(outputs)} times, --format {len(formats)}: "
                "each file needs a format of its own, e.g. --format html --output "
                "gate.html"
            )
        from inspect_lda.gate.run import gate as decide

        report = decide(logs, policy, baseline=baseline, planted=planted)
        _put(report, asked, outputs)
    passes = allow_inconclusive and report.exit_code == INCONCLUSIVE
    sys.exit(0 if passes else report.exit_code)


@gate.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("gate.yaml"),
    show_default=True,
)
def init(output: Path) -> None:
    """Write a commented policy to begin with."""
    from inspect_lda.gate.policy_file import template

    with _usage_errors():
        if output.exists():
            raise LDAError(f"{output} is there already; name another: --output FILE")
        write(output, template().encode())


@gate.command()
@click.argument("policy", type=click.Path(path_type=Path))
def validate(policy: Path) -> None:
    """Check POLICY before the rollouts are paid for: exits with 2 if it is broken."""
    from inspect_lda.gate.policy_file import fingerprint, read_policy

    with _usage_errors():
        found = read_policy(policy)
    asked = ", ".join(one.label for one in found.behaviours)
    click.echo(f"{policy} ({fingerprint(found)[:12]}): {asked}")


@gate.command()
def schema() -> None:
    """Print the JSON schema of a report."""
    from importlib.resources import files

    found = files("inspect_lda.gate") / "gate-report.schema.json"
    click.echo(found.read_text("utf-8"), nl=False)


@gate.command()
@click.argument("planted", nargs=-1, required=True)
@click.option("--rollouts", type=int, required=True, help="The budget at each alpha.")
@click.option("--confidence", type=float, default=0.95, show_default=True)
@click.option(
    "--dose",
    "doses",
    multiple=True,
    metavar="MODEL=RATE",
    help="Rate at alpha 0, where the log has no exact probability; repeatable.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write JSON here.")
def lod(
    planted: tuple[str, ...],
    rollouts: int,
    confidence: float,
    doses: tuple[str, ...],
    output: Path | None,
) -> None:
    """Which doses would so many rollouts have caught? From logs of PLANTED pairs."""
    with _usage_errors():
        from inspect_lda.gate.lod import limit_of_detection
        from inspect_lda.gate.wording import limit_lines

        known = {name: _rate(name, rate) for name, _, rate in map(_parted, doses)}
        found = limit_of_detection(planted, rollouts, confidence, known)
        for line in limit_lines(found):
            click.echo(line)
        if output is not None:
            write(output, f"{found.model_dump_json(indent=1)}\n".encode())


def _parted(item: str) -> tuple[str, str, str]:
    """A model's name may hold `=`, a rate may not."""
    return item.rpartition("=")


def _rate(name: str, rate: str) -> float:
    try:
        found = float(rate)
    except ValueError:
        found = -1.0
    if not name or not 0 <= found <= 1:
        raise LDAError(f"--dose {name}={rate}: give MODEL=RATE, a rate from 0 to 1")
    return found


def _put(
    report: "GateReport", formats: tuple["Format", ...], outputs: tuple[Path, ...]
) -> None:
    from inspect_lda.gate.render import render

    for index, form in enumerate(formats):
        path = outputs[index] if index < len(outputs) else None
        if path is not None:
            write(path, render(report, form).encode())
        elif form == "text":
            from rich.console import Console

            from inspect_lda.gate.render.clean import cleaned
            from inspect_lda.gate.render.text import renderable

            Console().print(renderable(cleaned(report)))
        else:
            click.echo(render(report, form), nl=False)
        summary = os.environ.get(_SUMMARY)
        if form == "github" and summary:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(render(report, "markdown"))
    if len(outputs) >= len(formats):
        click.echo(f"{report.verdict}: {report.headline}")


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Let errors that a user can act on end with 2."""
    try:
        yield
    except LDAError as error:
        raise _UsageError(error.message) from error
