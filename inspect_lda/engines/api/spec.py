"""What a user asked of the API engine."""

from dataclasses import dataclass
from typing import Literal

from inspect_lda.engines.api.view import Missing


@dataclass(frozen=True)
class ApiSpec:
    """Two endpoints, and how they are used.

    Attributes:
        after: Model name at its endpoint.
        before: The same of `before`.
        base_url: Endpoint of `after`.
        before_base_url: Endpoint of `before`.
        dialect: How `after`'s endpoint is spoken to; "auto" finds out.
        before_dialect: The same for `before`.
        tokenizer: Where `after`'s tokenizer is: hub id, directory or GGUF file.
        trust_remote_code: Whether code of the tokenizer may run.
        before_top_k: How many ids `before` lists where it can not be asked for given
            ones.
        missing: What to do about ids that it did not list.
        max_lost_mass: Most mean lost mass of a rollout.
        audit_every: Steps from one look at the whole vocabulary to the next; None
            looks where both servers can (`plan.AUDIT_EVERY`), 0 never.
        draft: Tokens of a draft: "auto" adapts, 0 decodes token by token.
        price_in: Price of a million prompt tokens, in any currency.
        price_out: Price of a million generated tokens.
    """

    after: str
    before: str
    base_url: str
    before_base_url: str
    dialect: str = "auto"
    before_dialect: str = "auto"
    tokenizer: str = ""
    trust_remote_code: bool = False
    before_top_k: int = 1000
    missing: Missing = "widen"
    max_lost_mass: float = 0.25
    audit_every: int | None = None
    draft: int | Literal["auto"] = "auto"
    price_in: float | None = None
    price_out: float | None = None
