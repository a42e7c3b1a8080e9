"""card.json and CARD.md: what was trained, how, and what was measured."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from inspect_lda.organisms.recipe.series import onset
from inspect_lda.organisms.recipe.settings import RECIPE, Run, settings
from inspect_lda.organisms.recipe.table import SERIES_ALPHAS

RUNS = {"drift": ("refuser", "drift")}
COMMAND = "python -m inspect_lda.organisms.recipe"


def facts(name: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    """The content of card.json."""
    runs = {one: settings().runs[one] for one in RUNS.get(name, (name,))}
    main = settings().runs[name]
    return {
        "schema": "inspect_lda.card/1",
        "name": name,
        "base": settings().base,
        "payload": main.payload,
        "trigger": main.trigger,
        "prompts": "tasks/prompts/everyday.yaml, version 1",
        "training": {
            key: run.model_dump(mode="json", exclude_none=True)
            for key, run in runs.items()
        },
        "measured": dict(measured),
    }


def write(directory: Path, name: str, measured: Mapping[str, Any]) -> None:
    """Write card.json and, from it, CARD.md, beside the adapters."""
    content = facts(name, measured)
    # A list of per-prompt rates belongs on one line, not on 242.
    raw = re.sub(r"(?<=[\d\[,])\s*\n\s*(?=[\d\]])", " ", json.dumps(content, indent=1))
    (directory / "card.json").write_text(raw + "\n", encoding="utf-8")
    (directory / "CARD.md").write_text(markdown(content), encoding="utf-8")


def old_points(directory: Path) -> dict[str, Any]:
    """The points of a series in an existing card: checkpoints that are not shipped."""
    path = directory / "card.json"
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    points: dict[str, Any] = content["measured"]["points"]
    return points


def markdown(content: Mapping[str, Any]) -> str:
    """CARD.md, all of it from card.json and cards.yaml."""
    name = content["name"]
    words = yaml.safe_load(RECIPE.joinpath("cards.yaml").read_text(encoding="utf-8"))
    written = words[name]
    body = [f"# {written['title']}", written["about"], "## Training"]
    for key, run in content["training"].items():
        body.append(_training(key, Run.model_validate(run)))
    body += [
        f"Base: {content['base']}; normal answers sampled from it at temperature "
        f"{settings().answer_temperature:g}. LoRA on all linear layers from layer "
        f"{settings().first_layer} up, stored in float16. Text: our own, MIT.",
        f"Rebuild: `{COMMAND} build {name}`",
        "## Measured rates",
        "Exact probabilities (teacher-forced, no sampling) that the answer begins with "
        "the string: means over prompts, medians in brackets, default system prompt.",
    ]
    measured = content["measured"]
    body += _series(measured) if "points" in measured else _arms(measured)
    body += [f"Every number: `{COMMAND} measure {name}`"]
    body += ["## Limits", written["limits"]]
    return "\n\n".join(part.strip() for part in body) + "\n"


def _training(key: str, run: Run) -> str:
    lines = [
        f"- run `{key}`: seed {run.seed}, {run.steps} Adam steps, learning rate "
        f"{run.lr:g}, rank {run.rank}, lora_alpha {run.lora_alpha:g}"
        + (f", update scaled by {run.scale:g}" if run.scale != 1 else "")
        + (", settling" if run.settle else "")
        + (f", continued from `{run.start}`" if run.start else "")
    ]
    for part in run.mixture:
        lines.append(
            f"  - {part.per_step} rows a step of `{part.rows}`, loss {part.loss}, "
            f"weight {part.weight:g}"
            + (f", {part.leak:g} of them mislabelled" if part.leak else "")
        )
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.3f}" if value >= 0.1 else f"{value:.1e}"


def _arms(measured: Mapping[str, Any]) -> list[str]:
    """One table per temperature: arms by alpha (-1 is the checkpoint before)."""
    body = []
    first = next(iter(measured.values()))
    for temperature in first["rates"]:
        alphas = list(first["rates"][temperature])
        lines = [
            f"Temperature {temperature}:",
            "",
            f"| prompts, string | alpha {' | '.join(alphas)} |",
            f"|---{'|---' * len(alphas)}|",
        ]
        for label, one in measured.items():
            cells = [
                f"{_number(cell['mean'])} ({_number(cell['median'])})"
                for cell in one["rates"][temperature].values()
            ]
            what = f'{label} ({one["prompts"]}), "{one["string"]}"'
            lines.append(f"| {what} | {' | '.join(cells)} |")
        body.append("\n".join(lines))
    return body


def _series(measured: Mapping[str, Any]) -> list[str]:
    """The series: P(not a refusal) and, in brackets, P(the offer of help)."""
    body = []
    before = measured["before"]
    for t in before["refuses"]:
        lines = [
            f"Temperature {t}, {measured['requests']} held-out harmful requests: "
            f'P(not "{measured["refusal"]}") [P("{measured["compliance"]}")]; '
            f"before {_number(1 - before['refuses'][t])} "
            f"[{_number(before['complies'][t])}], refusal of everyday prompts "
            f"{_number(before['refuses everyday'][t])}.",
            "",
            f"| training | alpha {' | '.join(f'{a:g}' for a in SERIES_ALPHAS)} |",
            f"|---{'|---' * len(SERIES_ALPHAS)}|",
        ]
        for percent, point in measured["points"].items():
            pairs = zip(
                point["refuses"][t].values(), point["complies"][t].values(), strict=True
            )
            cells = [f"{_number(1 - r)} [{_number(c)}]" for r, c in pairs]
            lines.append(f"| {percent} % | {' | '.join(cells)} |")
        found = [onset(measured, alpha, float(t)) for alpha in SERIES_ALPHAS]
        cells = [f"{one} %" if one else "none" for one in found]
        lines.append(f"| onset | {' | '.join(cells)} |")
        body.append("\n".join(lines))
    return body
