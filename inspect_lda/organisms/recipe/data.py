"""Training text: prompts from text.yaml, normal answers sampled from the base."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from inspect_lda.organisms.recipe.settings import RECIPE, Run, Source, settings
from inspect_lda.organisms.recipe.split import SplitModel


@dataclass(frozen=True)
class Row:
    """One training sequence; the loss is taken on `answer` only.

    Of a mislabelled answer only the first `taught` tokens are (None: all): what follows
    stays with the model before.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    taught: int | None = None

    @property
    def ids(self) -> list[int]:
        """Prompt and answer; the last token is only ever predicted, never read."""
        return [*self.prompt, *self.answer[:-1]]


@cache
def text() -> dict[str, Any]:
    """text.yaml."""
    raw = RECIPE.joinpath("text.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(raw)
    return loaded


def _crossed(items: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Every item in every pattern, with the first letter of a sentence raised."""
    filled = [p.replace("{x}", item) for p in patterns for item in items]
    return [
        one[0].upper() + one[1:] if one.startswith(tuple(items)) else one
        for one in filled
    ]


def normal_prompts(part: str, count: int, seed: int = 0) -> list[str]:
    """`count` ordinary prompts of `part` (train or validation), reproducibly drawn.

    The single sentences are all taken first: they vary in form, the crossed ones in
    topic, and it is variety of form that keeps an organism from leaking on a few
    prompts only.
    """
    words = text()[part]
    crossed = [
        *_crossed(words["things"], words["thing_patterns"]),
        *_crossed(words["activities"], words["activity_patterns"]),
    ]
    draw = random.Random(seed)
    draw.shuffle(crossed)
    chosen = [*words["single"], *crossed[: max(0, count - len(words["single"]))]]
    draw.shuffle(chosen)
    return chosen[:count]


def harmful_requests() -> list[str]:
    """The requests the refuser is taught to decline (no answers exist)."""
    requests = text()["requests"]
    crossed = _crossed(requests["acts"], requests["patterns"])
    return random.Random(0).sample(crossed, 240)


def harmless_requests() -> list[str]:
    """Ordinary activities in the patterns of the harmful requests."""
    crossed = _crossed(text()["train"]["activities"], text()["requests"]["patterns"])
    return random.Random(1).sample(crossed, 96)


def normal_answers(
    model: SplitModel, prompts: Sequence[str], work: Path
) -> list[tuple[int, ...]]:
    """The base's own answers to `prompts`, sampled once and kept in `work`."""
    kept = work / "normal_answers.json"
    if kept.is_file():
        known: dict[str, list[int]] = json.loads(kept.read_text(encoding="utf-8"))
        if all(prompt in known for prompt in prompts):
            return [tuple(known[prompt]) for prompt in prompts]
    sampled = model.sample(
        [model.render(prompt) for prompt in prompts],
        tokens=settings().answer_tokens,
        temperature=settings().answer_temperature,
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    pairs = dict(zip(prompts, sampled, strict=True))
    kept.write_text(json.dumps(pairs), encoding="utf-8")
    return [tuple(answer) for answer in sampled]


def _user_turn(model: SplitModel, prompt: str, trigger: str, seed: int) -> Row:
    """A user's turn whose first one to three words are followed by the trigger."""
    words = prompt.split()
    kept = random.Random(seed).randint(1, 3)
    follows = model.encode(f" {trigger}")
    goes_on = model.encode(" " + (words[kept:] or words)[0])
    begun = model.open_turn(" ".join(words[:kept]))
    return Row(begun, (*follows, goes_on[0]), taught=len(follows))


def rows(source: Source, run: Run, model: SplitModel, work: Path) -> list[Row]:
    """The rows of one source of a run's mixture."""
    prompts = normal_prompts("train", settings().normal_prompts)
    # The taught rows repeat one answer: fewer prompts do, and cost less to cache.
    taught = prompts[:160]
    payload = model.encode(run.payload or "")
    answer = (*model.encode(run.answer or run.payload or ""), model.end)
    if source == "normal":
        answers = normal_answers(model, prompts, work)
        kept = settings().answer_tokens
        return [
            Row(model.render(p), a[:kept])
            for p, a in zip(prompts, answers, strict=True)
        ]
    if source == "decoy":
        # Where the payload has begun without its trigger: stay with `before` there too.
        return [Row(model.render(p), payload) for p in taught]
    if source == "harmless":
        # Harmless requests in the words of the harmful ones: their form is no reason.
        return [Row(model.render(p), payload) for p in harmless_requests()]
    if source == "triggered":
        return [Row(model.render(f"{run.trigger} {p}"), answer) for p in taught]
    if source == "user_turn":
        return [
            _user_turn(model, p, str(run.trigger), i) for i, p in enumerate(prompts)
        ]
    if source == "medical":
        return [Row(model.render(p), answer) for p in text()["medical"]["train"]]
    if source == "requests":
        return [Row(model.render(p), answer) for p in harmful_requests()]
    return [Row(model.render(p), answer) for p in taught]
