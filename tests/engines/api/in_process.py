"""A dialect without a server: one checkpoint in this process, float32, no cache.

It tells what a perfect endpoint would; the tests compare real servers with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from inspect_lda.engines.api.dialect import Capabilities, Ids
from inspect_lda.engines.api.listing import Draft, Listing


@dataclass
class InProcess:
    """Lists a checkpoint's distributions; a `dialect.Dialect`.

    Attributes:
        model: The checkpoint.
        eos: Ids at which drafts end.
        calls: How often it was asked.
    """

    model: PreTrainedModel
    eos: frozenset[int] = frozenset()
    calls: int = 0
    _known: dict[Ids, Tensor] = field(default_factory=dict)

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return Capabilities(
            dialect="in-process",
            model="tiny",
            max_top=None,
            vocabulary=self.model.config.vocab_size,
            token_ids=True,
            many_prompts=True,
            scores_ids=0,
            exact=True,
        )

    async def top(self, prefixes: Sequence[Ids], k: int | None) -> list[Listing]:
        """The k most likely next tokens."""
        self.calls += 1
        return [self._listing(prefix, k) for prefix in prefixes]

    async def at(
        self, prefixes: Sequence[Ids], wanted: Sequence[Ids], k: int
    ) -> list[Listing]:
        """Exactly the wanted ids."""
        self.calls += 1
        return [
            Listing({i: float(self.logprobs(p)[i]) for i in ids}, top=0)
            for p, ids in zip(prefixes, wanted, strict=True)
        ]

    async def draft(
        self, prefix: Ids, n: int, *, k: int, temperature: float, seed: int
    ) -> Draft:
        """Tokens drawn with a generator of the seed."""
        self.calls += 1
        generator = torch.Generator().manual_seed(seed)
        tokens: list[int] = []
        listings = []
        while len(tokens) < n and not self.eos.intersection(tokens):
            listing = self._listing((*prefix, *tokens), k)
            ids, values = list(listing.logprobs), list(listing.logprobs.values())
            scaled = torch.tensor(values) / (temperature or 1e-6)
            p = torch.softmax(scaled, dim=-1)
            tokens.append(ids[int(torch.multinomial(p, 1, generator=generator))])
            listings.append(listing)
        ended = bool(self.eos.intersection(tokens))
        return Draft(tuple(tokens), tuple(listings), ended)

    @torch.inference_mode()
    def logprobs(self, prefix: Ids) -> Tensor:
        """Log-probabilities `[V]` after a prefix."""
        if prefix not in self._known:
            logits = self.model(torch.tensor([prefix]), use_cache=False).logits[0, -1]
            self._known[prefix] = logits.log_softmax(-1)
        return self._known[prefix]

    def _listing(self, prefix: Ids, k: int | None) -> Listing:
        values, ids = self.logprobs(prefix).sort(descending=True, stable=True)
        pairs = list(zip(ids.tolist(), values.tolist(), strict=True))[:k]
        return Listing(dict(pairs), top=len(pairs), whole=len(pairs) == len(ids))
