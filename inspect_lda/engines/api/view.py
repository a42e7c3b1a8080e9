"""Two endpoints seen as one: the supports of many prefixes at once.

Where `before` can be asked for given ids it is asked after `after` has named them.
Otherwise both are asked at the same time, `before` for a list so wide that it holds
what `after` finds likely, and again where it does not.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from inspect_lda.engines.api.dialect import Capabilities, Dialect, Ids
from inspect_lda.engines.api.listing import Draft, Listing
from inspect_lda.engines.api.support import Support, likeliest, support_of
from inspect_lda.engines.base import EngineError

Missing = Literal["error", "floor", "widen"]


@dataclass(frozen=True)
class Side:
    """One side of the pair.

    Attributes:
        name: `after` or `before`, for error texts.
        url: Where it is, for error texts.
        dialect: Asks it.
        can: What it was seen to do.
    """

    name: str
    url: str
    dialect: Dialect
    can: Capabilities


@dataclass(frozen=True)
class Looking:
    """How the endpoints are read.

    Attributes:
        k: Most ids of a support; None is the whole vocabulary.
        before_top_k: How many ids `before` lists where it can not be asked for given
            ones.
        missing: What to do about ids of the support that it did not list.
        barred: Ids that are no token of `after`'s tokenizer.
    """

    k: int | None
    before_top_k: int = 1000
    missing: Missing = "widen"
    barred: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Sight:
    """What was seen of one prefix.

    Attributes:
        support: What may be drawn.
        whole: Both listings, if they hold the whole vocabulary.
    """

    support: Support
    whole: tuple[Listing, Listing] | None = None


class Watcher(Protocol):
    """Wants to know when endpoints are read."""

    async def look(self) -> None:
        """They are about to be read."""
        ...


class View:
    """Reads supports of a pair of endpoints.

    Args:
        after: The endpoint of `after`.
        before: The endpoint of `before`; None reads `after` in its place (what a pair
            is at alpha 0, where nobody wants evidence).
        looking: How they are read.
        watch: Told of every look.
    """

    def __init__(
        self,
        after: Side,
        before: Side | None,
        looking: Looking,
        watch: Watcher | None = None,
    ) -> None:
        self.after = after
        self.before = before
        self.looking = looking
        self._watch = watch

    @property
    def sees_all(self) -> bool:
        """Whether both endpoints list the whole vocabulary where asked to."""
        sides = (self.after, self.before or self.after)
        return all(side.can.max_top is None for side in sides)

    async def look(self, prefixes: Sequence[Ids], whole: bool = False) -> list[Sight]:
        """What may be drawn after each prefix.

        Args:
            prefixes: Token ids; at least one each.
            whole: Ask for the whole vocabulary, for an audit or an exact score.

        Raises:
            EngineError: If `before` lists too little and may not be asked again.
        """
        await self._told()
        k = None if whole else self.looking.k
        if self.before is None:
            after = before = await self.after.dialect.top(prefixes, k)
        elif k is not None and self.before.can.scores_ids:
            after = await self.after.dialect.top(prefixes, k)
            before = await self._beside(prefixes, after)
        else:
            after, before = await asyncio.gather(
                self.after.dialect.top(prefixes, k),
                self.before.dialect.top(prefixes, self._width(k)),
            )
            before = await self._complete(prefixes, after, before)
        return [self._sight(a, b) for a, b in zip(after, before, strict=True)]

    async def draft(
        self, prefix: Ids, n: int, *, temperature: float, seed: int
    ) -> tuple[Draft, list[Sight]]:
        """Tokens that `after` proposes by itself, and the support of each.

        Args:
            prefix: What they follow.
            n: Most tokens of the draft.
            temperature: They are drawn at.
            seed: Fixes them.
        """
        await self._told()
        assert self.looking.k is not None, "a draft needs a support to be drawn from"
        draft = await self.after.dialect.draft(
            prefix, n, k=self.looking.k, temperature=temperature, seed=seed
        )
        after = list(draft.listings)
        prefixes = [(*prefix, *draft.tokens[:i]) for i in range(len(after))]
        before = await self._beside(prefixes, after) if self.before else after
        return draft, [self._sight(a, b) for a, b in zip(after, before, strict=True)]

    async def _told(self) -> None:
        if self._watch is not None:
            await self._watch.look()

    async def _beside(
        self, prefixes: Sequence[Ids], after: Sequence[Listing]
    ) -> list[Listing]:
        """The listings of `before` where those of `after` are known."""
        assert self.before is not None
        k = self.looking.k
        if k is not None and self.before.can.scores_ids:
            wanted = [tuple(self._ids(listing)) for listing in after]
            before = await self.before.dialect.at(prefixes, wanted, k)
        else:
            before = await self.before.dialect.top(prefixes, self._width(k))
        return await self._complete(prefixes, after, before)

    async def _complete(
        self,
        prefixes: Sequence[Ids],
        after: Sequence[Listing],
        before: list[Listing],
    ) -> list[Listing]:
        """Ask `before` again where it did not list the support."""
        assert self.before is not None
        lacking = self._lacking(after, before)
        if not lacking or self.looking.missing == "floor":
            return before
        width = self._width(self.looking.k)
        longest = self.before.can.max_top
        wider = longest is None or (width is not None and width < longest)
        if self.looking.missing == "error" or not wider:
            raise EngineError(self._short(after, before, lacking[0], wider))
        again = await self.before.dialect.top([prefixes[i] for i in lacking], longest)
        whole = dict(zip(lacking, again, strict=True))
        before = [whole.get(i, listing) for i, listing in enumerate(before)]
        if lacking := self._lacking(after, before):
            raise EngineError(self._short(after, before, lacking[0], False))
        return before

    def _lacking(
        self, after: Sequence[Listing], before: Sequence[Listing]
    ) -> list[int]:
        both = enumerate(zip(after, before, strict=True))
        return [
            index
            for index, (a, b) in both
            if any(i not in b.logprobs for i in self._ids(a))
        ]

    def _short(
        self,
        after: Sequence[Listing],
        before: Sequence[Listing],
        index: int,
        wider: bool,
    ) -> str:
        assert self.before is not None
        ids, listed = self._ids(after[index]), before[index]
        absent = [i for i in ids if i not in listed.logprobs]
        more = "-M missing=widen asks again for more; " if wider else ""
        return (
            f"before at {self.before.url} did not list {len(absent)} of the {len(ids)} "
            f"ids most likely under after (the first is id {absent[0]}) among its "
            f"{listed.top} most likely. {more}-M before_top_k= makes its list longer, "
            "as far as the server allows; -M support= makes after's shorter; -M "
            "missing=floor takes the least listed value, which understates what "
            "training made more likely"
        )

    def _width(self, k: int | None) -> int | None:
        """How many ids `before` is asked to list; None is the whole vocabulary."""
        assert self.before is not None
        if k is None:
            return None
        asked = max(k, self.looking.before_top_k)
        limit = self.before.can.max_top
        return asked if limit is None else min(asked, limit)

    def _ids(self, after: Listing) -> list[int]:
        return likeliest(after, self.looking.k, self.looking.barred)

    def _sight(self, after: Listing, before: Listing) -> Sight:
        support = support_of(self._ids(after), after, before)
        return Sight(support, (after, before) if after.whole and before.whole else None)
