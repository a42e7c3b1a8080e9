"""Exact rates: the probability that an answer begins with a string, at every alpha.

The probability of a known beginning is a product of next-token probabilities, so one
teacher-forced pass of each checkpoint gives it at every alpha and temperature: no
sampling, no noise. The combination is the decoding rule's
(`after + alpha * (after - before)` in float32, then the temperature).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inspect_lda.organisms.recipe.split import SplitModel, batches, pad


@dataclass(frozen=True)
class Forced:
    """Logits of both checkpoints where the string's tokens are predicted.

    `before` and `after` are [prompts, tokens, vocabulary]; `target` is [tokens].
    """

    before: Tensor
    after: Tensor
    target: Tensor

    def rates(self, alpha: float, temperature: float) -> Tensor:
        """P(answer begins with the string), one per prompt."""
        logp = []
        for before, after in zip(self.before, self.after, strict=True):
            # alpha 0 and -1 are branches, never arithmetic (float32 would round).
            if alpha == 0:
                mixed = after
            elif alpha == -1:
                mixed = before
            else:
                mixed = after + alpha * (after - before)
            steps = torch.log_softmax(mixed / temperature, dim=-1)
            logp.append(steps.gather(1, self.target[:, None]).sum())
        return torch.stack(logp).double().exp()


class Prompts:
    """A rendered prompt set followed by one string, its trunk output kept."""

    def __init__(
        self,
        model: SplitModel,
        prompts: Sequence[str],
        string: str,
        *,
        opened: bool = False,
    ) -> None:
        """Render, append the string and run the shared layers once.

        With `opened`, prompts are begun user's turns that the string continues.
        """
        self.model = model
        render = model.open_turn if opened else model.render
        rendered = [render(prompt) for prompt in prompts]
        self.target = model.encode(string)
        self.starts = [len(prompt) - 1 for prompt in rendered]
        self.hidden = model.trunk([[*p, *self.target[:-1]] for p in rendered])

    @torch.no_grad()
    def logits(self, adapter: str | None) -> Tensor:
        """[prompts, tokens, vocabulary] under one adapter (None: the base)."""
        count = len(self.target)
        found: list[Tensor] = [torch.empty(0)] * len(self.hidden)
        with self.model.using(adapter):
            lengths = [len(states) for states in self.hidden]
            for chosen in batches(len(lengths), 32, lengths):
                top = self.model.top(pad([self.hidden[i] for i in chosen]))
                for row, i in enumerate(chosen):
                    start = self.starts[i]
                    found[i] = self.model.logits(top[row, start : start + count])
        return torch.stack(found)

    def forced(self, before: str | None, after: str | None) -> Forced:
        """Both checkpoints' logits, ready for any alpha."""
        target = torch.tensor(self.target, device=self.model.device)
        return Forced(self.logits(before), self.logits(after), target)
