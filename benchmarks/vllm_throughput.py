"""Tokens a second inside vLLM: one model, a pair of two, and a pair over one base.

    python -m benchmarks.vllm_throughput                       # a CPU, minutes
    python -m benchmarks.vllm_throughput --config 1b --dtype bfloat16 --graphs \
      --rows 1,64,256 --device H100                            # a GPU, CUDA graphs

Run it where vLLM is installed (`make vllm` makes `.venv-vllm`). The engines take turns
in one process, and a ratio is the median of those of the turns. Steps of decoding only:
runs of one token are subtracted. On a CPU, times are CPU times, and `implied` is the
ratio if only the two models' own time counted twice (benchmarks/vllm_overhead.py).
`bound` is what benchmarks/roofline.py allows the pair of two models on this device: how
fast it reads a large matrix for one vector and multiplies two is measured here.
"""

import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import torch
import yaml

from benchmarks.bandwidth import device_name
from benchmarks.pairs import LINEAR
from benchmarks.random_pairs import SHAPES, save_random_pair
from benchmarks.roofline import Deployment, Device, Shape
from benchmarks.vllm_overhead import instrument
from benchmarks.workloads import prompt

SINGLE, FULL, ADAPTER = "one model", "two models", "adapter"
RANK = 16
ON_GPU = torch.cuda.is_available()


def save_adapter(base: Path, directory: Path) -> Path:
    """A LoRA of random weights on every matrix of every layer."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    adapted = get_peft_model(model, LoraConfig(r=RANK, target_modules=LINEAR))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.01)
    adapted.save_pretrained(directory)
    return directory


def directories(home: Path, config: str, dtype: str, window: int) -> dict[str, Path]:
    """What each engine serves, written below `home`."""
    from inspect_lda.checkpoints.directory import write_pair

    after, before = save_random_pair(home, config, context=window, dtype=dtype)
    adapter = save_adapter(before, home / "adapter")
    write_pair(str(after), str(before), home / "full")
    write_pair(str(adapter), None, home / "shared")
    return {SINGLE: after, FULL: home / "full", ADAPTER: home / "shared"}


def engine(directory: Path, dtype: str, graphs: bool, **options: Any) -> Any:
    """A vLLM engine in this process."""
    from vllm import LLM

    if ON_GPU:
        # Three of them share the device.
        options["gpu_memory_utilization"] = 0.3
    return LLM(
        str(directory),
        dtype=dtype,
        enforce_eager=not graphs,
        enable_prefix_caching=False,
        # As the halves of a pair have it.
        hf_overrides={} if _is_pair(directory) else {"head_dtype": "float32"},
        **options,
    )


def _is_pair(directory: Path) -> bool:
    return not (directory / "model.safetensors").exists()


def decode(llm: Any, prompts: list[list[int]], tokens: int) -> float:
    """Seconds that `tokens` steps of all rows took, their prompts not counted."""
    from vllm import SamplingParams

    def run(count: int) -> float:
        params = [
            SamplingParams(max_tokens=count, ignore_eos=True, seed=i)
            for i in range(len(prompts))
        ]
        begun = clock()
        asked = [{"prompt_token_ids": ids} for ids in prompts]
        llm.generate(asked, params, use_tqdm=False)
        return clock() - begun

    return run(tokens + 1) - run(1)


def clock() -> float:
    """Seconds: on a CPU those of this process, whoever else is on the machine."""
    return time.perf_counter() if ON_GPU else time.process_time()


def product_seconds(rows: int, size: int, dtype: str) -> float:
    """Seconds of `[rows, size] x [size, size]`, the best of several."""
    kind = "cuda" if ON_GPU else "cpu"
    weight = torch.randn(size, size, device=kind).to(getattr(torch, dtype))
    left = weight[:rows].clone()
    found = []
    for _ in range(8):
        begun = clock()
        float((left @ weight)[0, 0])
        found.append(clock() - begun)
    return min(found)


def measured(dtype: str) -> Device:
    """This device: how fast it reads a large matrix, and multiplies two."""
    item = getattr(torch, dtype).itemsize
    large, square = (16384, 8192) if ON_GPU else (8192, 1024)
    read = item * large**2 / product_seconds(1, large, dtype)
    speed = 2 * square**3 / product_seconds(square, square, dtype)
    return Device(memory=0.0, bandwidth=read, flops=speed, link=1.0)


def deployment(config: str, dtype: str, device: str | None) -> Deployment:
    """The pair of two models on this device."""
    given = SHAPES[config]
    heads = given["num_attention_heads"]
    shape = Shape(
        layers=given["num_hidden_layers"],
        hidden=given["hidden_size"],
        heads=heads,
        kv_heads=given["num_key_value_heads"],
        head_dim=given["hidden_size"] // heads,
        inner=given["intermediate_size"],
        vocab=given["vocab_size"],
        tied=True,
    )
    if device:
        sheet = Path(__file__).with_name("scale.yaml").read_text(encoding="utf-8")
        here = Device(**yaml.safe_load(sheet)["devices"][device])
    else:
        here = measured(dtype)
    return Deployment(shape, here, item=getattr(torch, dtype).itemsize)


def lines(
    engines: dict[str, Any],
    times: Counter[str],
    pair: Deployment,
    rows: int,
    load: tuple[int, int, int],
) -> Iterator[str]:
    """Cells of one row of the table."""
    length, tokens, repeat = load
    ids = [list(prompt(i, pair.shape.vocab, length)) for i in range(rows)]
    rounds: list[dict[str, float]] = []
    whole = 0.0
    for turn in range(repeat + 1):
        times.clear()
        begun = time.thread_time()
        rounds.append({FULL: decode(engines[FULL], ids, tokens)})
        whole = time.thread_time() - begun
        for name in (SINGLE, ADAPTER) if turn % 2 else (ADAPTER, SINGLE):
            rounds[-1][name] = decode(engines[name], ids, tokens)
    del rounds[0]  # kernels, caches
    for name in (SINGLE, FULL, ADAPTER):
        yield f"{rows * tokens / statistics.median(r[name] for r in rounds):,.1f}"
    for name in (FULL, ADAPTER):
        yield f"{statistics.median(r[SINGLE] / r[name] for r in rounds):.3f}"
    alone = times["models"] / 2 + whole - times["composite"]
    yield "" if ON_GPU else f"{alone / whole:.3f}"
    yield f"{rows / pair.seconds(rows, rows * (length + tokens / 2)):,.1f}"


@click.command()
@click.option(
    "--config", default="135m", show_default=True, type=click.Choice([*SHAPES])
)
@click.option("--dtype", default="float32", show_default=True)
@click.option("--rows", "batches", default="1,8,32", show_default=True)
@click.option("--prompt", "length", default=32, show_default=True, help="Tokens.")
@click.option("--tokens", default=32, show_default=True, help="Of each row.")
@click.option("--repeat", default=5, show_default=True)
@click.option("--graphs", is_flag=True, help="CUDA graphs and compilation.")
@click.option("--device", help="A name in scale.yaml; else it is measured.")
def main(
    config: str, dtype: str, batches: str, length: int, tokens: int, repeat: int,
    graphs: bool, device: str | None,
) -> None:  # fmt: skip
    """Print a Markdown table."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    if not graphs:
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    pair = deployment(config, dtype, device)
    sizes = [int(one) for one in batches.split(",")]
    window = length + tokens + 1
    with tempfile.TemporaryDirectory() as name:
        engines = {
            key: engine(
                path, dtype, graphs, max_model_len=window, max_num_seqs=max(sizes)
            )
            for key, path in directories(Path(name), config, dtype, window).items()
        }
        times: Counter[str] = Counter()
        if not ON_GPU:
            engines[FULL].apply_model(lambda model: instrument(model, times))
        click.echo(
            f"{device_name('cuda' if ON_GPU else 'cpu')}, {torch.get_num_threads()} "
            f"thread(s), {config}, {dtype}, {'graphs' if graphs else 'eager'}, prompt "
            f"{length}, {tokens} tokens a row; {pair.device.bandwidth / 1e9:,.1f} "
            f"GB/s, {pair.device.flops / 1e9:,.0f} Gflop/s "
            f"{'given' if device else 'measured'}\n\n"
            f"| rows | {SINGLE}, tokens/s | {FULL} | {ADAPTER} | {FULL} / one | "
            f"{ADAPTER} / one | implied | bound |\n|---|---|---|---|---|---|---|---|"
        )
        for rows in sizes:
            cells = lines(engines, times, pair, rows, (length, tokens, repeat))
            click.echo(f"| {rows} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
