"""Decoding measured against its floor, its peers and itself; see README.md.

    python -m benchmarks.decode --help

CPU time on one thread, contestants by turns, medians. Figures are ratios within one
run: machines are noisy, and only what ran side by side compares.
"""

import statistics
from collections.abc import Callable
from dataclasses import replace

import click
from rich.table import Table

from benchmarks import floor, workloads
from benchmarks.contest import Contestant, console, print_race, race, spread, start
from benchmarks.logittilt import logittilt
from benchmarks.memory import memory
from benchmarks.ours import Timed, lockstep, rolling
from benchmarks.pairs import ALL_PAIRS, PAIRS
from benchmarks.peers import Generate, continuous
from inspect_lda.engines.base import Request, Sampling

OURS = "ours"
Command = Callable[..., None]


def contest_options(slots: int) -> Callable[[Command], Command]:
    """The options that all contests share."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--slots", default=slots, show_default=True),
            click.option("--repeat", default=5, show_default=True),
            click.option(
                "--pair",
                default="two models",
                show_default=True,
                type=click.Choice([*ALL_PAIRS]),
            ),
        ):
            command = option(command)
        return command

    return add


@click.group()
def main() -> None:
    """Ratios of CPU time; larger is faster."""
    start()


@main.command()
@click.option("--sizes", default="1,4,16,32,64", show_default=True)
@click.option("--steps", default=12, show_default=True, help="Rounds that count.")
@click.option("--pair", "names", multiple=True, type=click.Choice([*ALL_PAIRS]))
def equal(sizes: str, steps: int, names: tuple[str, ...]) -> None:
    """Equal lengths, against two hand-written loops, by batch size."""
    for name in names or PAIRS:
        table = Table(*floor.COLUMNS, title=name)
        pair = ALL_PAIRS[name]()
        decoder = Timed(pair)
        for size in map(int, sizes.split(",")):
            table.add_row(*floor.measure(pair, decoder, size, steps).row(size))
        console.print(table)


@main.command()
@contest_options(slots=8)
@click.option("--requests", "count", default=20, show_default=True)
@click.option("--prompt", "length", default=12, show_default=True, help="Tokens.")
@click.option("--median", default=12.0, show_default=True, help="Tokens of a reply.")
@click.option("--most", default=48, show_default=True, help="Longest reply.")
def lognormal(
    pair: str,
    slots: int,
    repeat: int,
    count: int,
    length: int,
    median: float,
    most: int,
) -> None:
    """Lengths as replies have them, against lockstep and continuous batching."""
    loaded = ALL_PAIRS[pair]()
    decoder, generate = Timed(loaded), Generate(loaded)
    asked = workloads.lognormal(
        count, loaded.vocabulary.size, length, median=median, most=most
    )
    contestants: dict[str, Contestant] = {
        OURS: lambda: rolling(decoder, asked, slots),
        "ours, in lockstep": lambda: lockstep(decoder, asked, slots),
        "generate(), in lockstep": lambda: generate.lockstep(asked, slots),
    }
    if paged := continuous(loaded):
        contestants["continuous batching"] = lambda: paged.seconds(asked, slots)
    title = (
        f"{count} requests, prompts of {length} tokens, lognormal replies of median "
        f"{median:g}, {slots} slots, {pair}"
    )
    print_race(title, race(contestants, repeat), workloads.total(asked), OURS)


@main.command()
@contest_options(slots=32)
@click.option("--prompts", default=8, show_default=True)
@click.option("--tokens", default=8, show_default=True, help="Of each request.")
def mixed(pair: str, slots: int, repeat: int, prompts: int, tokens: int) -> None:
    """Prompts x 4 alphas x 2 seeds, all in one queue."""
    loaded = ALL_PAIRS[pair]()
    decoder, generate = Timed(loaded), Generate(loaded)
    width = loaded.vocabulary.size
    asked = workloads.mixed(prompts, width, tokens)
    alike = workloads.alike(prompts, width, tokens)
    contestants: dict[str, Contestant] = {
        OURS: lambda: rolling(decoder, asked, slots),
        "ours, one alpha and seed": lambda: rolling(decoder, alike, slots),
        "generate(), a batch an alpha": lambda: generate.by_alpha(asked, slots),
    }
    if paged := continuous(loaded):
        contestants["continuous batching"] = lambda: paged.seconds(asked, slots)
    title = f"{len(asked)} requests: {prompts} prompts x 4 alphas x 2 seeds, {pair}"
    print_race(title, race(contestants, repeat), workloads.total(asked), OURS)


@main.command()
@contest_options(slots=32)
@click.option("--others", default="1,3,6", show_default=True, help="Other alphas.")
@click.option("--tokens", default=12, show_default=True, help="Of each request.")
def also(pair: str, slots: int, repeat: int, others: str, tokens: int) -> None:
    """What it costs to measure every drawn token at other alphas too."""
    decoder = Timed(ALL_PAIRS[pair]())
    asked = workloads.mixed(slots // 8, decoder.pair.vocabulary.size, tokens)
    counts = [0, *map(int, others.split(","))]
    drawing: dict[int, list[float]] = {count: [] for count in counts}

    def contestant(count: int) -> Contestant:
        alphas = tuple(0.4 + 0.2 * index for index in range(count))
        more = [replace(one, also=alphas) for one in asked]

        def run() -> float:
            decoder.clock.draw = 0.0
            seconds = rolling(decoder, more, slots)
            drawing[count].append(decoder.clock.draw)
            return seconds

        return run

    seconds = race({str(count): contestant(count) for count in counts}, repeat)
    whole = statistics.median(seconds["0"])
    table = Table("other alphas", "CPU s", "of it drawing", "more than without, of all")
    for count in counts:
        more = [a - b for a, b in zip(drawing[count], drawing[0], strict=True)]
        table.add_row(
            str(count),
            f"{statistics.median(seconds[str(count)]):.2f}",
            f"{statistics.median(drawing[count]):.3f}",
            f"{statistics.median(more) / whole:.1%}",
        )
    table.title = f"{len(asked)} requests of {tokens} tokens at 4 alphas, {pair}"
    console.print(table)


@main.command()
@contest_options(slots=32)
@click.option("--length", default=500, show_default=True)
@click.option("--rollouts", default=200, show_default=True)
def prefix(pair: str, slots: int, repeat: int, length: int, rollouts: int) -> None:
    """What the prompt of many rollouts costs, in prefills of that prompt."""
    decoder = Timed(ALL_PAIRS[pair]())
    ids = workloads.prompt(0, decoder.pair.vocabulary.size, length)
    alone = [Request(ids, 1.0, Sampling(), 1)]
    many = [Request(ids, 1.0, Sampling(seed=seed), 1) for seed in range(rollouts)]

    def prefills(requests: list[Request]) -> float:
        decoder.clock.forward = 0.0
        rolling(decoder, requests, slots)
        return decoder.clock.forward

    costs = []
    for _ in range(repeat):
        one = prefills(alone)
        costs.append(prefills(many) / one)
    console.print(
        f"{rollouts} rollouts of one {length}-token prompt cost {spread(costs)} "
        "prefills of it"
    )


main.add_command(memory)
main.add_command(logittilt)

if __name__ == "__main__":
    main()
