"""Every contest runs at its smallest size, and says what it is meant to say."""

import re
import sys
from collections.abc import Callable

import pytest

from benchmarks import floor, workloads
from benchmarks.contest import race
from benchmarks.decode import main
from benchmarks.ours import Timed, lockstep, rolling
from inspect_lda.engines.base import Request
from inspect_lda.engines.rows import RowState
from inspect_lda.pair import Pair

Drive = Callable[[Timed, list[Request], int], float]
TINY = ("--pair", "tiny")
CONTEST = (*TINY, "--repeat", "2", "--slots", "2")
LENGTHS = ("--requests", "4", "--median", "3", "--most", "6")


def test_equal_prints_the_ratio_the_noise_and_the_parts(
    printed: Callable[..., str],
) -> None:
    text = printed(main, "equal", *TINY, "--sizes", "1,3", "--steps", "2")
    lines = re.findall(r"│ +([13]) +│(.*)", text)
    assert [size for size, _ in lines] == ["1", "3"]
    assert all(len(re.findall(r"\d\.\d\d to \d", line)) == 2 for _, line in lines)
    assert all(len(re.findall(r"\d%", line)) == 4 for _, line in lines)


def test_the_parts_make_up_the_time_outside_the_forwards(pair: Pair) -> None:
    found = floor.measure(pair, Timed(pair), size=2, steps=3)
    assert [len(x) for x in (found.floor, found.ours, found.again)] == [3, 3, 3]
    outside, *parts = found.shares()
    assert 0 < outside < 1
    assert all(part > 0 for part in parts)
    assert sum(parts) == pytest.approx(outside)


def test_lognormal_compares_with_lockstep_and_continuous_batching(
    printed: Callable[..., str],
) -> None:
    text = printed(main, "lognormal", *CONTEST, *LENGTHS)
    for name in ("ours, in lockstep", "generate(), in lockstep", "continuous batching"):
        assert re.search(rf"│ {re.escape(name)} .*\d\.\d\d \(\d", text), text


def test_mixed_compares_with_batches_of_one_alpha(printed: Callable[..., str]) -> None:
    text = printed(main, "mixed", *CONTEST, "--prompts", "1", "--tokens", "2")
    assert "8 requests: 1 prompts x 4 alphas x 2 seeds" in text
    for name in ("ours, one alpha and seed", "generate(), a batch an alpha"):
        assert re.search(rf"│ {re.escape(name)} .*\d\.\d\d \(\d", text), text


def test_contests_do_without_continuous_batching(
    printed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = "transformers.generation.continuous_batching.cache"
    monkeypatch.setitem(sys.modules, gone, None)
    monkeypatch.delitem(sys.modules, "benchmarks.continuous", raising=False)
    text = printed(main, "lognormal", *CONTEST, *LENGTHS)
    assert "not supported by transformers" in text
    assert "│ continuous batching" not in text
    assert "│ generate(), in lockstep" in text


def test_prefix_counts_prefills(printed: Callable[..., str]) -> None:
    text = printed(
        main, "prefix", *CONTEST, "--length", "300", "--rollouts", "9", "--repeat", "3"
    )
    [cost] = re.findall(r"cost (\d+\.\d+)", text)
    assert float(cost) < 5, "nine prefills would be nine times the cost"


def test_the_mixed_workload_is_what_it_says() -> None:
    asked = workloads.mixed(8, width=512, max_tokens=4)
    assert len(asked) == 64
    assert len({one.sampling.seed for one in asked}) == 64
    assert len({one.prompt for one in asked}) == 8
    assert {one.alpha for one in asked} == set(workloads.ALPHAS)


class Remembering(Timed):
    """Keeps the rows it makes."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair)
        self.made: list[RowState] = []

    def row(self, request: Request) -> RowState:
        self.made.append(super().row(request))
        return self.made[-1]


@pytest.mark.parametrize("drive", [rolling, lockstep])
def test_the_engine_decodes_what_was_asked(drive: Drive, pair: Pair) -> None:
    decoder = Remembering(pair)
    asked = workloads.lognormal(5, 512, 6, median=4, most=9)
    assert drive(decoder, asked, 2) > 0
    lengths = [len(row.tokens) for row in decoder.made]
    least = [one.max_tokens for one in asked]
    assert lengths == least if drive is rolling else sum(lengths) > sum(least)


def test_contestants_take_turns() -> None:
    order: list[str] = []

    def run(name: str) -> float:
        order.append(name)
        return float(len(order))

    seconds = race({"a": lambda: run("a"), "b": lambda: run("b")}, repeat=3)
    assert "".join(order) == "abbaab"
    assert seconds == {"a": [1, 4, 5], "b": [2, 3, 6]}
