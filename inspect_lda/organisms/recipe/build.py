"""Train one organism and write its adapters."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from inspect_lda.organisms.base import base_checkpoint
from inspect_lda.organisms.recipe.settings import Run, settings
from inspect_lda.organisms.recipe.split import SplitModel
from inspect_lda.organisms.recipe.train import Trainer

AFTER = "after"
BEFORE = "before"
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Checkpoint:
    """An adapter that training left behind, at this percent of the run."""

    percent: int
    directory: Path


def load_base() -> SplitModel:
    """The base, cut where the adapters begin."""
    return SplitModel(base_checkpoint(), settings().first_layer)


def train(
    model: SplitModel, name: str, out: Path, work: Path, report: Report
) -> list[Checkpoint]:
    """Run `name` from organisms.yaml; the adapters go to `out`.

    Args:
        model: The base. A run that continues another one expects that adapter in it.
        name: Name of the run.
        out: Directory of the final adapter; a series writes `at-<percent>` below it.
        work: Where sampled answers are kept between runs.
        report: Called with (what, done, of) as work goes on.
    """
    run = settings().runs[name]
    torch.manual_seed(run.seed)
    if run.start is None:
        model.new_adapter(run.rank, run.lora_alpha, AFTER)
    else:
        model.load_adapter(out / BEFORE, AFTER, trainable=True)
    reference = None if run.start is None else BEFORE
    report("sampling normal answers, caching the lower layers", 0, 1)
    trainer = Trainer(model, run, work, reference)
    saved: list[Checkpoint] = []
    wanted = _wanted(run)
    for step, _ in trainer.steps(AFTER):
        report(f"training {name}", step, run.steps)
        if step in wanted and run.checkpoints:
            percent = wanted[step]
            kept = out if percent in run.shipped else work / name
            save(model, run, kept / f"at-{percent}")
            saved.append(Checkpoint(percent, kept / f"at-{percent}"))
    if not run.checkpoints:
        save(model, run, out)
        saved.append(Checkpoint(100, out))
    return saved


def _wanted(run: Run) -> dict[int, int]:
    """Step -> percent for the checkpoints of a series."""
    return {max(1, round(run.steps * p / 100)): p for p in run.checkpoints}


def save(model: SplitModel, run: Run, out: Path) -> None:
    """Write the adapter `after` as plain PEFT files, float16, into `out`.

    float16, not bfloat16: an early checkpoint of a series differs from its start by a
    few 1e-4, which bfloat16's eight bits would round away.
    """
    assert model.peft is not None
    scratch = out.parent / f".saving-{out.name}"
    model.peft.save_pretrained(str(scratch), selected_adapters=[AFTER])
    written = scratch / AFTER
    config = json.loads((written / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = settings().base
    config["inference_mode"] = True
    config["lora_alpha"] = round(run.lora_alpha * run.scale, 4)
    out.mkdir(parents=True, exist_ok=True)
    (out / "adapter_config.json").write_text(
        json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    tensors = load_file(written / "adapter_model.safetensors")
    halved = {name: one.to(torch.float16) for name, one in tensors.items()}
    save_file(halved, out / "adapter_model.safetensors", metadata={"format": "pt"})
    (out / "adapter_model.safetensors").chmod(0o644)  # safetensors writes 0600
    shutil.rmtree(scratch)
