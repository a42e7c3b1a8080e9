"""Supports of endpoints that score given ids, and of those that list many.

llama.cpp's server does not score given ids, so a perfect endpoint in this process does.
"""

from dataclasses import dataclass, field

import pytest
import torch

from inspect_lda.engines.api.dialect import Capabilities
from inspect_lda.engines.api.support import Support
from inspect_lda.engines.api.view import Looking, Side, View
from inspect_lda.engines.base import EngineError
from tests.engines.api.in_process import InProcess
from tests.served.gguf_files import Checkpoint, Pair

K = 20
PREFIXES = ((2, 40, 41), (2, 40, 41, 42, 43))


@dataclass
class Recording(InProcess):
    """Remembers what it was asked, in order; the list may be shared."""

    name: str = ""
    asked: list[str] = field(default_factory=list)

    async def top(self, prefixes, k):  # type: ignore[no-untyped-def]
        """See `Dialect`."""
        self.asked.append(f"{self.name} top {k}")
        return await super().top(prefixes, k)

    async def at(self, prefixes, wanted, k):  # type: ignore[no-untyped-def]
        """See `Dialect`."""
        self.asked.append(f"{self.name} at {len(wanted)}")
        return await super().at(prefixes, wanted, k)


def view(
    pair: Pair,
    asked: list[str],
    scores_ids: int = 0,
    max_top: int = 50,
    barred: frozenset[int] = frozenset(),
) -> View:
    """A view of two perfect endpoints."""
    sides = []
    for name, checkpoint in (("after", pair.after), ("before", pair.before)):
        dialect = Recording(checkpoint.model, name=name, asked=asked)
        update = {"scores_ids": scores_ids, "max_top": max_top}
        can: Capabilities = dialect.capabilities.model_copy(update=update)
        sides.append(Side(name, f"http://{name}", dialect, can))
    looking = Looking(k=K, before_top_k=320, missing="error", barred=barred)
    return View(sides[0], sides[1], looking)


async def seen(text_files: Pair, scores_ids: int) -> tuple[list[Support], list[str]]:
    asked: list[str] = []
    looking = view(text_files, asked, scores_ids)
    sights = await looking.look(PREFIXES)
    assert not looking.sees_all
    return [sight.support for sight in sights], asked


async def test_given_ids_are_asked_once_they_are_known(text_files: Pair) -> None:
    supports, asked = await seen(text_files, scores_ids=100)
    assert asked == ["after top 20", "before at 2"]
    for prefix, support in zip(PREFIXES, supports, strict=True):
        after = text_files.after.logprobs(list(prefix))
        before = text_files.before.logprobs(list(prefix))
        ids = list(support.ids)
        assert set(ids) == set(after.topk(K).indices.tolist())
        assert support.before == pytest.approx(before[ids].tolist(), abs=1e-5)
        assert support.rest_after == pytest.approx(
            float(1 - after[ids].exp().sum()), abs=1e-6
        )
        assert support.rest_before == pytest.approx(
            float(1 - before[ids].exp().sum()), abs=1e-6
        )
        assert not support.imputed


async def test_lists_are_as_long_as_an_endpoint_allows(text_files: Pair) -> None:
    def top(checkpoint: Checkpoint, prefix: tuple[int, ...]) -> set[int]:
        return set(checkpoint.logprobs(list(prefix)).topk(K).indices.tolist())

    prefix = next(
        (2, i, j)
        for i in range(40, 60)
        for j in range(40, 60)
        if top(text_files.after, (2, i, j)) != top(text_files.before, (2, i, j))
    )
    asked: list[str] = []
    looking = view(text_files, asked, max_top=K)
    with pytest.raises(EngineError, match="among its 20 most likely"):
        await looking.look([prefix])
    assert sorted(asked) == ["after top 20", "before top 20"]


async def test_ids_that_are_no_tokens_are_not_drawn(text_files: Pair) -> None:
    first = int(text_files.after.logprobs(list(PREFIXES[0])).argmax())
    asked: list[str] = []
    looking = view(text_files, asked, scores_ids=100, barred=frozenset([first]))
    [sight] = await looking.look(PREFIXES[:1])
    assert first not in sight.support.ids
    assert len(sight.support.ids) == K - 1
    assert torch.tensor(sight.support.ids).diff().min() > 0
