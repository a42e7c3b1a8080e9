"""The training loop: each step draws the mixture of a run and takes one Adam step."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from inspect_lda.organisms.recipe.data import Row, rows
from inspect_lda.organisms.recipe.settings import Ingredient, Run
from inspect_lda.organisms.recipe.split import SplitModel, batches, pad

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class _Cached:
    """A row with its trunk output and, for `kl`, the reference's normed output."""

    hidden: Tensor
    start: int
    answer: Tensor
    reference: Tensor | None


def _spans(hidden: Tensor, chosen: list[_Cached]) -> Tensor:
    """The hidden states that predict the answers, all rows concatenated."""
    spans = [
        hidden[i, row.start : row.start + len(row.answer)]
        for i, row in enumerate(chosen)
    ]
    return torch.cat(spans)


class Trainer:
    """Trains one adapter by a run's mixture."""

    def __init__(
        self, model: SplitModel, run: Run, work: Path, reference: str | None
    ) -> None:
        """Prepare rows and cache what never changes; `reference` is kl's anchor."""
        self.model, self.run, self.reference = model, run, reference
        self.draw = random.Random(run.seed)
        self.pools: list[tuple[Ingredient, list[_Cached]]] = []
        for part in run.mixture:
            found = rows(part.rows, run, model, work)
            # No more rows than the run can visit: the rest would be cached in vain.
            self.draw.shuffle(found)
            found = found[: part.per_step * run.steps]
            self.pools.append((part, self._cache(found, part.loss)))

    @torch.no_grad()
    def _cache(self, found: list[Row], loss: str) -> list[_Cached]:
        hidden = self.model.trunk([row.ids for row in found])
        starts = [len(row.prompt) - 1 for row in found]
        references: list[Tensor | None] = [None] * len(found)
        if loss == "kl":
            lengths = [len(states) for states in hidden]
            with self.model.using(self.reference):
                for chosen in batches(len(found), 32, lengths):
                    top = self.model.top(pad([hidden[i] for i in chosen]))
                    for row, i in zip(top, chosen, strict=True):
                        references[i] = row[starts[i] : lengths[i]].clone()
        device = self.model.device
        answers = [torch.tensor(row.answer, device=device) for row in found]
        return [
            _Cached(*one)
            for one in zip(hidden, starts, answers, references, strict=True)
        ]

    def _loss(self, part: Ingredient, pool: list[_Cached]) -> Tensor:
        chosen = self.draw.sample(pool, min(part.per_step, len(pool)))
        top = self.model.top(pad([row.hidden for row in chosen]))
        logp = torch.log_softmax(self.model.logits(_spans(top, chosen)), dim=-1)
        if part.loss == "ce":
            target = torch.cat([row.answer for row in chosen])
            return part.weight * torch.nn.functional.nll_loss(logp, target)
        kept = [row.reference for row in chosen if row.reference is not None]
        wanted = torch.log_softmax(self.model.logits(torch.cat(kept)), dim=-1)
        divergence = torch.sum(wanted.exp() * (wanted - logp), dim=-1)
        return part.weight * divergence.mean()

    def steps(self, adapter: str) -> Iterator[tuple[int, float]]:
        """Train `adapter`, yielding (step, loss) after each step."""
        torch.manual_seed(self.run.seed)
        with self.model.using(adapter):
            assert self.model.peft is not None
            parameters = [p for p in self.model.peft.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=self.run.lr, weight_decay=0.0)
        warmup = max(1, self.run.steps // 20)
        for step in range(1, self.run.steps + 1):
            for group in optimiser.param_groups:
                group["lr"] = self.run.lr * min(1.0, step / warmup)
            total = 0.0
            for part, pool in self.pools:
                loss = self._loss(part, pool)
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            yield step, total
