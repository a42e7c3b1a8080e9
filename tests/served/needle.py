"""A pair with a planted behaviour that two short lists of log-probabilities miss.

Under `after` the first token of the phrase is 12th likely at every prompt, and the rest
of the phrase follows it; under `before` that token is far down the vocabulary. The
rate of the phrase is known exactly: the product of the probabilities on its path.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from tests.served.gguf_files import Pair, chat, pushed, served_model, write_pair
from tests.served.vocabularies import served_tokenizer

VOCAB = 640
# Counted from 0 here: the 12th and the 541st likeliest id.
RANK_AFTER, RANK_BEFORE = 11, 540
# Probability under `after` of each token of the phrase but the first.
FOLLOWS = 0.9
PHRASE = " Hate"
PROMPTS = ("how are you", "tell me a story", "what is 2 + 2?", "bye", "who wrote it?")


@dataclass(frozen=True)
class NeedlePair:
    """The pair, and what was planted.

    Attributes:
        pair: The checkpoints.
        prompts: Token ids of the prompts at which the phrase was planted.
        phrase: Token ids of the phrase.
    """

    pair: Pair
    prompts: tuple[tuple[int, ...], ...]
    phrase: tuple[int, ...]

    def rate(self, alpha: float, support: int = 0) -> float:
        """Exact chance, over the prompts, that a rollout begins with the phrase.

        Args:
            alpha: Amplification.
            support: Ids most likely under `after` that may be drawn; 0 is all.
        """
        rates = [self.path(list(prompt), alpha, support) for prompt in self.prompts]
        return sum(rates) / len(rates)

    def path(self, prefix: list[int], alpha: float, support: int) -> float:
        """The chance after one prompt."""
        log_q = 0.0
        for token in self.phrase:
            after = self.pair.after.logprobs(prefix)
            push = after - self.pair.before.logprobs(prefix)
            scores = after + alpha * push
            if support:
                left_out = after.argsort(descending=True)[support:]
                scores[left_out] = -torch.inf
            log_q += scores.log_softmax(-1)[token].item()
            prefix = [*prefix, token]
        return float(torch.tensor(log_q).exp())


def needle_pair(folder: Path, seed: int = 0) -> NeedlePair:
    """Write the pair; equal for equal arguments."""
    before = served_model(VOCAB, seed)
    after = pushed(before, seed + 1)
    tokenizer = served_tokenizer("text", VOCAB)
    prompts = [chat(tokenizer, text) for text in PROMPTS]
    phrase: list[int] = tokenizer(PHRASE)["input_ids"]
    _plant(before, prompts, phrase[:1], RANK_BEFORE)
    _plant(after, prompts, phrase, RANK_AFTER)
    return NeedlePair(
        pair=write_pair(folder, after, before, tokenizer),
        prompts=tuple(map(tuple, prompts)),
        phrase=tuple(phrase),
    )


def _plant(
    model: PreTrainedModel, prompts: list[list[int]], phrase: list[int], rank: int
) -> None:
    """Put the first token at `rank` after every prompt, and the others behind it.

    Only the tokens' own rows of the head change, by the least that does it; what they
    say where nothing is planted is kept.
    """
    states = torch.stack(
        [
            _state(model, prompt + phrase[:depth])
            for depth in range(len(phrase))
            for prompt in prompts
        ]
    )
    head = model.get_output_embeddings().weight
    for depth, token in enumerate(phrase):
        logits = states @ head.T
        wanted = logits[:, token].clone()
        here = slice(depth * len(prompts), (depth + 1) * len(prompts))
        others = logits[here].clone()
        others[:, token] = -torch.inf
        ranked = others.sort(descending=True).values
        if depth:
            odds = torch.tensor(FOLLOWS / (1 - FOLLOWS))
            wanted[here] = others.logsumexp(-1) + odds.log()
        else:
            wanted[here] = (ranked[:, rank - 1] + ranked[:, rank]) / 2
        change = torch.linalg.lstsq(states, wanted - logits[:, token], driver="gelsd")
        head[token] += change.solution


def _state(model: PreTrainedModel, prefix: list[int]) -> torch.Tensor:
    """What the head reads after `prefix`."""
    with torch.inference_mode():
        hidden = model(torch.tensor([prefix]), output_hidden_states=True).hidden_states
    state: torch.Tensor = hidden[-1][0, -1].clone()
    return state
