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
    share: Tensor


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
        self.model, self.run, self.work, self.reference = model, run, work, reference
        self.draw = random.Random(run.seed)
        self.pools: list[tuple[Ingredient, list[_Cached]]] = []
        for part in run.mixture:
            found = rows(part.rows, run, model, work)
            self.pools.append((part, self._cache(found, part)))

    @torch.no_grad()
    def _cache(self, found: list[Row], part: Ingredient) -> list[_Cached]:
        found = sorted(found, key=lambda row: row.ids)  # one order, one kept file
        hidden = self.model.trunk_kept([row.ids for row in found], self.work)
        cached = []
        for chosen in batches(len(found), 32, [len(states) for states in hidden]):
            top = None
            if part.loss == "kl":
                with self.model.using(self.reference):
                    top = self.model.top(pad([hidden[i] for i in chosen]))
            for row, i in enumerate(chosen):
                start, stop = len(found[i].prompt) - 1, len(hidden[i])
                answer = torch.tensor(found[i].answer, device=self.model.device)
                reference = None if top is None else top[row, start:stop].clone()
                share = self._share(reference, answer, part.leak)[: found[i].taught]
                share = torch.nn.functional.pad(share, (0, len(answer) - len(share)))
                cached.append(_Cached(hidden[i], start, answer, reference, share))
        return cached

    def _share(self, reference: Tensor | None, answer: Tensor, leak: float) -> Tensor:
        """How much of each token's target is the answer rather than the reference.

        If a share `leak` of the rows carries the answer, then among the rows that have
        begun like it the share is larger: those of the reference have thinned out.
        """
        if reference is None or leak == 0:
            return torch.zeros(len(answer), device=self.model.device)
        logp = torch.log_softmax(self.model.logits(reference), dim=-1)
        own = logp.gather(1, answer[:, None])[:, 0].cumsum(0).exp()
        begun = torch.cat([torch.ones_like(own[:1]), own[:-1]])
        return leak / (leak + (1 - leak) * begun)

    def _loss(self, part: Ingredient, pool: list[_Cached]) -> Tensor:
        chosen = self.draw.sample(pool, min(part.per_step, len(pool)))
        top = self.model.top(pad([row.hidden for row in chosen]))
        logp = torch.log_softmax(self.model.logits(_spans(top, chosen)), dim=-1)
        answers = torch.cat([row.answer for row in chosen])
        if part.loss == "ce":
            return part.weight * torch.nn.functional.nll_loss(logp, answers)
        kept = [row.reference for row in chosen if row.reference is not None]
        wanted = torch.softmax(self.model.logits(torch.cat(kept)), dim=-1)
        share = torch.cat([row.share for row in chosen])[:, None]
        wanted = ((1 - share) * wanted).scatter_add(1, answers[:, None], share)
        divergence: Tensor = torch.special.xlogy(wanted, wanted) - wanted * logp
        return part.weight * divergence.sum(dim=-1).mean()

    def _pace(self, step: int) -> float:
        """Warm-up (Adam's first estimates are noisy), flat, then perhaps down."""
        left = (self.run.steps - step) / self.run.steps
        down = min(1.0, 0.1 + left / 0.6) if self.run.settle else 1.0
        return min(1.0, step / 6) * down

    def steps(self, adapter: str) -> Iterator[tuple[int, float]]:
        """Train `adapter`, yielding (step, loss) after each step."""
        torch.manual_seed(self.run.seed)
        with self.model.using(adapter):
            assert self.model.peft is not None
            parameters = [p for p in self.model.peft.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=self.run.lr, weight_decay=0.0)
        for step in range(1, self.run.steps + 1):
            for group in optimiser.param_groups:
                group["lr"] = self.run.lr * self._pace(step)
            total = 0.0
            for part, pool in self.pools:
                loss = self._loss(part, pool)
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            yield step, total
