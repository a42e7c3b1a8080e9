"""The tables of docs/scale.md: what fits, how fast at most, and what an audit costs.

    python -m benchmarks.scale             # all of them: half a minute
    python -m benchmarks.scale sizing speed

Computed from the shapes and data sheets in scale.yaml; nothing here is a measurement.
`audit` makes every rollout twice: in closed form, and in a simulated engine.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import yaml

from benchmarks.batching import Job, Simulation, closed_form
from benchmarks.roofline import Deployment, Device, Shape

GIGA = 1e9
CONFIG: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("scale.yaml").read_text(encoding="utf-8")
)
FORMS = {"two models": 0, "adapter": int(CONFIG["rank_of_adapter"])}


def smallest(model: str, device: str, rank: int) -> Deployment:
    """The fewest GPUs that hold a pair and the text that scale.yaml asks for."""
    shape, kind = Shape(**CONFIG["models"][model]), Device(**CONFIG["devices"][device])
    node = int(CONFIG["gpus_of_a_node"])
    wanted = CONFIG["holds"]["rows"] * CONFIG["holds"]["tokens"]
    tensor, stages = 1, 1
    while True:
        found = Deployment(shape, kind, tensor=tensor, stages=stages, rank=rank)
        if found.capacity(CONFIG["holds"]["rows"]) >= wanted:
            return found
        if tensor < node:
            tensor *= 2
        else:
            stages += 1


def deployments() -> Iterator[tuple[str, Deployment]]:
    """Every pair on every device, with what names it in a table."""
    for model in CONFIG["models"]:
        for form, rank in FORMS.items():
            for device in CONFIG["devices"]:
                found = smallest(model, device, rank)
                yield f"| {model} | {form} | {gpus(found, device)} |", found


def gpus(deployment: Deployment, device: str) -> str:
    """How many of which, in nodes where there are several."""
    nodes = f"{deployment.stages} x " if deployment.stages > 1 else ""
    return f"{nodes}{deployment.tensor} {device}"


def sizing() -> Iterator[str]:
    """Weights, cache and room."""
    yield "| model | pair | GPUs | weights, GB | cache, kB a token | tokens that fit |"
    yield "|---|---|---|---|---|---|"
    for name, found in deployments():
        room = found.capacity(CONFIG["holds"]["rows"])
        yield (
            f"{name} {found.weights / GIGA:,.0f} | {found.token / 1000:,.0f} | "
            f"{room:,} |"
        )


def speed() -> Iterator[str]:
    """Tokens a second at most, by rows of 512 tokens; of the pair and of one model."""
    batches = (1, 64, 256, 1024)
    heads = " | ".join(f"{rows} rows" for rows in batches)
    yield f"| model | pair | GPUs | {heads} | one model, 256 | prompt tokens/s |"
    yield "|---|---|---|" + "---|" * (len(batches) + 2)
    for name, found in deployments():
        cells = [_rate(found, rows) for rows in batches]
        cells.append(_rate(found.alone(), 256))
        cells.append(f"{found.budget / found.seconds(0, 0, found.budget):,.0f}")
        yield f"{name} {' | '.join(cells)} |"


def _rate(deployment: Deployment, rows: int, tokens: int = 512) -> str:
    if deployment.capacity(rows) < rows * tokens:
        return "does not fit"
    return f"{rows / deployment.seconds(rows, rows * tokens):,.0f}"


def job(settings: dict[str, Any], share: float = 1.0) -> Job:
    """The rollouts of an audit, or of a share of its prompts."""
    group = settings["alphas"] * settings["epochs"]
    rollouts = group * max(1, round(settings["prompts"] * share))
    numbers = np.random.default_rng(0)
    log_median = math.log(settings["reply_median"])
    drawn = numbers.lognormal(log_median, settings["reply_sigma"], rollouts)
    replies = np.clip(np.ceil(drawn), 1, settings["reply_limit"]).astype(int)
    connections = settings["connections"]
    return Job(settings["prompt_tokens"], group, replies.tolist(), connections)


def audit(share: float = 1.0) -> Iterator[str]:
    """GPU hours of an audit, in closed form and simulated."""
    settings = CONFIG["audit"]
    asked = job(settings, share)
    mean = sum(asked.replies) / len(asked.replies)
    yield (
        f"{len(asked.replies):,} rollouts, {mean:.0f} tokens each in the mean, "
        f"{asked.connections} at once.\n"
    )
    yield (
        "| model | pair | GPUs | tokens/s | GPU hours | simulated | simulated / closed "
        "form | put off | without prefix caching | at half the speed |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name, found in deployments():
        if settings["model"] == name.split()[1]:
            yield f"{name} {' | '.join(_audited(found, asked))} |"


def _audited(found: Deployment, asked: Job) -> Iterator[str]:
    hours = found.gpus / 3600
    closed = closed_form(found, asked).seconds
    simulated = Simulation(found, asked).run()
    every = Job(asked.prompt, 1, asked.replies, asked.connections)
    yield f"{sum(asked.replies) / closed:,.0f}"
    yield f"{hours * closed:,.0f}"
    yield f"{hours * simulated.seconds:,.0f}"
    yield f"{simulated.seconds / closed:.3f}"
    yield f"{simulated.put_off:,}"
    yield f"{hours * closed_form(found, every).seconds:,.0f}"
    yield f"{2 * hours * simulated.seconds:,.0f}"


TABLES = {"sizing": sizing, "speed": speed, "audit": audit}


@click.command()
@click.argument("tables", nargs=-1, type=click.Choice([*TABLES]))
def scale(tables: tuple[str, ...]) -> None:
    """Print tables in Markdown."""
    for name in tables or TABLES:
        click.echo("\n".join(TABLES[name]()) + "\n")


if __name__ == "__main__":
    scale()
