"""`inspect-lda rate LOG…`: how often the model itself does it."""

import click

NOT_MEASURABLE = 3
"""Exit code: detected or not, these logs carry no rate."""


@click.command()
@click.argument("logs", nargs=-1, required=True)
@click.option(
    "--method",
    type=click.Choice(["auto", "exact", "importance", "mixture", "plain"]),
    default="auto",
    show_default=True,
    help="Estimator; auto says which it took, and why.",
)
@click.option("--confidence", type=float, default=0.95, show_default=True)
@click.option(
    "--volume",
    "volumes",
    type=click.IntRange(min=1),
    multiple=True,
    help="Replies of a deployment to forecast; may be given again.",
)
@click.option(
    "--lower-bound",
    is_flag=True,
    help="Take a lower bound where truncation or a net kept tokens from being drawn.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def rate(
    context: click.Context,
    logs: tuple[str, ...],
    method: str,
    confidence: float,
    volumes: tuple[int, ...],
    lower_bound: bool,
    as_json: bool,
) -> None:
    """Estimate the model's own rate from the amplified rollouts in LOGS.

    LOGS are files or folders of one pair under one setting; nothing but logs is read.
    Exits with 3 if they carry no rate, and says what would.
    """
    from inspect_lda.report.experiment import experiment_of
    from inspect_lda.report.loading import load_all
    from inspect_lda.report.own_rate import own_rate
    from inspect_lda.report.rate_table import print_rate, rate_json
    from inspect_lda.statistics.forecast import forecast

    if not 0 < confidence < 1:
        raise click.BadParameter(f"--confidence={confidence}: need 0 to 1, e.g. 0.95")
    own = own_rate(
        experiment_of(load_all(logs)),
        method,  # type: ignore[arg-type]  # one of click's choices
        confidence,
        lower_bound=lower_bound,
    )
    forecasts = [forecast(own.found, n) for n in volumes] if own.found.valid else []
    if as_json:
        click.echo(rate_json(own, forecasts))
    else:
        print_rate(own, forecasts)
    if not own.found.valid:
        context.exit(NOT_MEASURABLE)
