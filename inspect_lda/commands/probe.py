"""`inspect-lda probe`: what an endpoint can do, before anything depends on it."""

import asyncio
import os
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from inspect_lda.engines.api.dialect import Capabilities


@click.command()
@click.argument("url")
@click.argument("model")
@click.option("--dialect", default="auto", show_default=True, help="Name of a profile.")
@click.option(
    "--api-key-env",
    metavar="NAME",
    help="Environment variable with the key; else LDA_API_KEY or the service's own.",
)
@click.option("--timeout", type=float, default=60.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def probe(
    context: click.Context,
    url: str,
    model: str,
    dialect: str,
    api_key_env: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Ask MODEL at URL what it can do, and whether LDA over it is exact.

    About fifty small requests; exits 1 if LDA is not possible.
    """
    able = _asked(url, model, dialect, api_key_env, timeout)
    if as_json:
        click.echo(able.model_dump_json(indent=2))
    else:
        _print(able)
    if not able.exact:
        context.exit(1)


def _asked(
    url: str, model: str, dialect: str, key_env: str | None, timeout: float
) -> "Capabilities":
    from pydantic import SecretStr

    from inspect_lda.engines.api.address import Address
    from inspect_lda.engines.api.endpoint import Endpoint
    from inspect_lda.engines.api.keys import after_key
    from inspect_lda.engines.api.probe import probe as ask
    from inspect_lda.engines.api.profile import find_profile
    from inspect_lda.engines.base import EngineError

    given = None
    if key_env is not None:
        given = os.environ.get(key_env, "").strip()
        if not given:
            raise LDAError(f"--api-key-env={key_env!r}: this variable is not set")
    if dialect != "auto":
        find_profile(dialect)
    address = Address.parse(url, "URL")
    key = SecretStr(given) if given else after_key(address)
    endpoint = Endpoint(url, model, key=key, timeout=timeout, retries=2)
    try:
        return asyncio.run(ask(endpoint, dialect))
    except EngineError as error:
        raise LDAError(str(error)) from error


def _print(able: "Capabilities") -> None:
    from inspect_lda.engines.api.probe import verdict

    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    for name, value in _rows(able):
        table.add_row(Text(name), Text(value))
    console = Console()
    console.print(table)
    for problem in able.problems:
        console.print(Text(f"- {problem}"), soft_wrap=True)
    console.print(Text(f"LDA: {verdict(able)}", style="bold"), soft_wrap=True)


def _rows(able: "Capabilities") -> list[tuple[str, str]]:
    """What is printed, in the order in which it matters."""
    unknown = "not known"
    served = "an amplified pair itself" if able.amplifies else "a model"
    rows = [("model", f"{able.model} ({served})"), ("dialect", able.dialect)]
    rows.append(("server", able.server or unknown))
    if not able.exact:
        return rows
    longest = "the whole vocabulary" if able.max_top is None else str(able.max_top)
    given = f"up to {able.scores_ids} a request" if able.scores_ids else "no"
    return [
        *rows,
        ("vocabulary", str(able.vocabulary or unknown)),
        ("context window", str(able.context_length or unknown)),
        ("prompts as token ids", _yes(able.token_ids)),
        ("most likely tokens listed", longest),
        ("log-probabilities of given ids", given),
        ("several prompts a request", _yes(able.many_prompts)),
        ("drafts of several tokens", _yes(able.drafts)),
        ("log-probabilities of the prompt", _yes(able.prompt_logprobs)),
        ("before temperature and bias", _yes(able.raw)),
        ("noise between answers", f"{able.noise:.2g} nats"),
    ]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
