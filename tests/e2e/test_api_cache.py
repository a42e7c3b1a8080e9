"""Inspect's cache and endpoints: what amplifies differently never shares an entry."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog
from inspect_ai.solver import generate

from benchmarks.llama_server import serve
from tests.served.gguf_files import Pair, pushed, write_pair
from tests.served.proxy import FaultProxy
from tests.served.servers import NO_PEER
from tests.served.servers import text_files as text_files


@dataclass(frozen=True)
class Servers:
    """Three servers behind counting proxies.

    Attributes:
        files: Checkpoints of the pair.
        after: Serves `after`.
        before: Serves `before`.
        other: Serves another checkpoint under the name of `before`.
    """

    files: Pair
    after: FaultProxy
    before: FaultProxy
    other: FaultProxy


@pytest.fixture(scope="module")
def servers(
    text_files: Pair, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """`after`, and two checkpoints that are both called `tiny-before`."""
    pytest.importorskip("xllamacpp", reason=NO_PEER)
    third = pushed(text_files.before.model, 9, 0.2)
    folder = tmp_path_factory.mktemp("third")
    others = write_pair(folder, third, third, text_files.tokenizer)
    with ExitStack() as stack:
        roots = [
            stack.enter_context(serve(gguf, name)).root
            for gguf, name in (
                (text_files.after.gguf, "tiny-after"),
                (text_files.before.gguf, "tiny-before"),
                (others.before.gguf, "tiny-before"),
            )
        ]
        proxies = [stack.enter_context(FaultProxy(root)) for root in roots]
        yield Servers(text_files, *proxies)


def cached_eval(servers: Servers, folder: Path, **changes: Any) -> tuple[EvalLog, int]:
    """An eval whose generate is cached; also how many completions were asked for."""
    every = (servers.after, servers.before, servers.other)
    for proxy in every:
        proxy.asked.clear()
    arguments = {
        "engine": "api",
        "before": "tiny-before",
        "before_base_url": servers.before.url,
        "tokenizer": str(servers.files.after.folder),
        "alpha": 0.3,
        "support": 20,
        "max_lost_mass": 1,
        **changes,
    }
    [log] = eval(
        Task(
            dataset=[Sample(input="hi"), Sample(input="why?")],
            solver=generate(cache=True),
        ),
        model="lda/tiny-after",
        model_base_url=servers.after.url,
        model_args=arguments,
        max_tokens=6,
        seed=3,
        display="none",
        log_dir=str(folder),
    )
    assert log.status == "success", log.error
    asked = [one for proxy in every for one in proxy.asked]
    return log, sum(one.line == "POST /completion" for one in asked)


def texts(log: EvalLog) -> list[str]:
    """What was said."""
    return [sample.output.completion for sample in log.samples or []]


def test_what_differs_shares_no_entry(servers: Servers, tmp_path: Path) -> None:
    first, asked = cached_eval(servers, tmp_path)
    assert asked > 4
    again, asked = cached_eval(servers, tmp_path)
    assert asked == 0
    assert texts(again) == texts(first)
    seen = [texts(first)]
    for changes in (
        {"alpha": 1},
        {"before_base_url": servers.other.url},
        {"support": 5},
        {"missing": "floor", "before_top_k": 20},
    ):
        log, asked = cached_eval(servers, tmp_path, **changes)
        assert asked > 0, changes
        seen.append(texts(log))
    assert seen[1] != seen[0]
    assert seen[2] != seen[0]
