"""What a run will take of its endpoints, and what it took."""

import atexit
import logging
import threading
from dataclasses import dataclass

from inspect_lda.engines.api.spec import ApiSpec
from inspect_lda.engines.base import Cost

logger = logging.getLogger(__name__)

MILLION = 1e6
AUDIT_EVERY = 32
"""Steps between two looks at the whole vocabulary, where both servers list it."""


@dataclass(frozen=True)
class Prices:
    """Of a million tokens each, in any currency; None where not given."""

    prompt: float | None
    generated: float | None

    @classmethod
    def of(cls, spec: ApiSpec) -> "Prices":
        """Those that the user gave."""
        return cls(spec.price_in, spec.price_out)

    def money(self, cost: Cost) -> float | None:
        """What a cost comes to, or None where no price is known."""
        if self.prompt is None and self.generated is None:
            return None
        read = cost.input_tokens * (self.prompt or 0.0)
        return (read + cost.output_tokens * (self.generated or 0.0)) / MILLION


def stepwise_cost(prompt: int, tokens: int) -> Cost:
    """What one completion takes, token by token.

    Every request reads the whole prefix again; servers keep most of it in a cache.
    """
    read = sum(prompt + i for i in range(tokens))
    return Cost(requests=2 * tokens, input_tokens=2 * read, output_tokens=2 * tokens)


def plan_text(spec: ApiSpec, prompt: int, tokens: int, support: int) -> str:
    """What the first request of a run lets expect of each completion.

    Args:
        spec: The endpoints and their prices.
        prompt: Tokens of its prompt.
        tokens: Most tokens of its completion.
        support: Its support; 0 is the whole vocabulary.
    """
    cost = stepwise_cost(prompt, tokens)
    money = Prices.of(spec).money(cost)
    kind = f"the {support} ids most likely under after" if support else "every id"
    fewer = ""
    if support and spec.draft != 0:
        fewer = "; drafts need fewer requests, the more of their tokens are kept"
    return (
        f"plan: {spec.after} at {spec.base_url} and {spec.before} at "
        f"{spec.before_base_url}, drawing from {kind}. A completion of {tokens} "
        f"tokens after a prompt of {prompt} takes, token by token, "
        f"{told(cost, money)}{fewer}. "
        "Most prompt tokens are those of prefixes sent before, which servers cache"
    )


class Ledger:
    """Adds up what completions cost; safe to share between threads."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._lock = threading.Lock()
        self._total = Cost()
        self._tokens = 0
        self._untold = False
        # Inspect does not close the models of an eval.
        atexit.register(self.tell)

    def add(self, cost: Cost, tokens: int) -> None:
        """Enter a completion of so many tokens."""
        with self._lock:
            self._total += cost
            self._tokens += tokens
            self._untold = True

    def tell(self) -> None:
        """Log all of it in one line, unless that was done and nothing was added."""
        with self._lock:
            text, self._untold = self._text() if self._untold else None, False
        if text is not None:
            logger.warning("%s", text)

    def _text(self) -> str:
        total = self._total
        rate = total.requests / self._tokens if self._tokens else 0.0
        kept = ""
        if total.drafted:
            kept = f"; {total.accepted} of {total.drafted} drafted tokens were kept"
        return (
            f"ledger: {told(total, self._prices.money(total))} for {self._tokens} "
            f"tokens ({rate:.2f} requests a token), {total.retries} retries{kept}"
        )


def told(cost: Cost, money: float | None) -> str:
    """A cost in words."""
    price = "" if money is None else f", price {money:.4g}"
    return (
        f"{cost.requests:,} requests, {cost.input_tokens:,} prompt tokens and "
        f"{cost.output_tokens:,} generated ones{price}"
    )
