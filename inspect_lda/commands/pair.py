"""`inspect-lda pair` and `inspect-lda serve`: a pair as a model of other software."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from inspect_lda.errors import LDAError
from inspect_lda.values import amplification

Command = Callable[..., None]


def _alpha(context: click.Context, parameter: click.Parameter, value: str) -> float:
    try:
        return amplification(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None


def _naming(command: Command) -> Command:
    """The arguments that say which pair."""
    for option in (
        click.argument("after"),
        click.option(
            "--before", help="Checkpoint before the training; an adapter has its base."
        ),
        click.option(
            "--alpha",
            default="1",
            show_default=True,
            callback=_alpha,
            help="Amplification of requests that name none.",
        ),
        click.option("--trust-remote-code", is_flag=True),
        click.option("--allow-mixed-quantization", is_flag=True),
    ):
        command = option(command)
    return command


@click.command()
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The directory to write.",
)
@_naming
def pair(after: str, before: str | None, out: Path, **options: Any) -> None:
    """Write AFTER and its --before as one model: a directory for `vllm serve`.

    It names both checkpoints and holds no weights.
    """
    _composed(after, before, out, options)
    click.echo(f"Wrote {out}. Serve it: vllm serve {out}")


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True}
)
@_naming
@click.argument("vllm_args", nargs=-1, type=click.UNPROCESSED)
def serve(
    after: str, before: str | None, vllm_args: tuple[str, ...], **options: Any
) -> None:
    """Serve AFTER and its --before with vLLM, over the OpenAI protocol.

    Everything that is not listed below goes to `vllm serve`, e.g. --port 8001.
    """
    from inspect_lda.engines.server.program import find_program

    program = find_program()
    out = _composed(after, before, None, options)
    sys.stdout.flush()
    os.execv(program, [program, "serve", str(out), *vllm_args])


def _composed(
    after: str, before: str | None, out: Path | None, options: dict[str, Any]
) -> Path:
    """Write the pair where it is asked for, else into the cache."""
    try:
        from inspect_lda.checkpoints.cached import cached_pair
        from inspect_lda.checkpoints.directory import write_pair

        if out is None:
            out, notes = cached_pair(after, before, **options)
        else:
            notes = write_pair(after, before, out, **options)
    except ModuleNotFoundError as error:
        raise LDAError(
            f"this needs the package '{error.name}', which is not installed. Install "
            "it with: pip install 'inspect_lda[transformers]'"
        ) from error
    except OSError as error:
        raise LDAError(f"cannot write {out}: {error.strerror}") from error
    for note in notes:
        click.echo(f"Note: {note}")
    return out
