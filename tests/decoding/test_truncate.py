"""Law 3: what is left to draw from, against the definition by a full sort."""

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from inspect_lda.decoding import distribution
from inspect_lda.decoding import truncate as module
from inspect_lda.decoding.batch import Edit, Settings
from inspect_lda.decoding.distribution import Distribution, Kept
from inspect_lda.decoding.settings import Sampling
from inspect_lda.decoding.truncate import truncate
from tests.decoding.definition import defined

CPU = torch.device("cpu")
RULES = (
    Sampling(),
    *(Sampling(top_k=k) for k in (1, 7, 1024, 1025, 5000, 10**9, 2**80)),
    *(Sampling(top_p=p) for p in (1e-50, 0.3, 0.95, 0.999)),
    *(Sampling(min_p=p) for p in (1e-4, 0.2, 1.0)),
    Sampling(top_k=50, top_p=0.9),
    Sampling(top_k=2000, top_p=0.9, min_p=0.01),
    Sampling(top_p=0.8, min_p=0.3),
)


@pytest.fixture(params=["cpu", "elsewhere"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where no value may be looked at, what is known is computed for every row."""
    if request.param == "elsewhere":
        for place in (module, distribution):
            monkeypatch.setattr(place, "on_cpu", lambda tensor: False)
    return str(request.param)


def settings(*rows: Sampling) -> Settings:
    return Settings.of(rows, [1.0] * len(rows), CPU)


def whole(logits: Tensor) -> Distribution:
    return Distribution.of(logits, torch.empty_like(logits))


def kept_ids(logits: Tensor, kept: Kept) -> list[set[int]]:
    has = kept.has(logits, torch.arange(logits.shape[-1])) & logits.isfinite()
    return [set(row.nonzero().squeeze(-1).tolist()) for row in has]


def landscapes() -> Iterator[tuple[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    for size, spread in itertools.product((50, 3000, 20_000), (0.01, 1.0, 4.0)):
        rows = spread * torch.randn(len(RULES), size, generator=generator)
        yield f"{size} ids, spread {spread}", rows
        yield f"{size} ids, spread {spread}, ties", (rows * 2).round() / 2
        impossible = torch.rand(rows.shape, generator=generator) < 0.7
        impossible[:, 3] = False
        yield f"{size} ids, impossible ones", rows.masked_fill(impossible, -math.inf)
    yield "all equal", torch.full((len(RULES), 3000), 2.5)


@pytest.mark.parametrize(
    "logits", [pytest.param(x, id=name) for name, x in landscapes()]
)
def test_mixed_rows_keep_what_a_full_sort_keeps(logits: Tensor, device: str) -> None:
    rules, spare = settings(*RULES), torch.empty_like(logits)
    kept = truncate(whole(logits), rules, spare)
    got = kept_ids(logits, kept)
    if kept.short is not None:
        everything = truncate(whole(logits), rules, spare, width=logits.shape[-1])
        assert everything.short is not None
        assert not everything.short.any()
        exact = kept_ids(logits, everything)
        short = kept.short.squeeze(-1).tolist()
        got = [b if s else a for a, b, s in zip(got, exact, short, strict=True)]
    for row, rule in enumerate(RULES):
        assert got[row] == defined(logits[row], rule), rule


def test_a_row_is_short_only_where_too_few_ids_are_ranked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = torch.Generator().manual_seed(0)
    peaked, flat = (x * torch.randn(5000, generator=generator) for x in (5.0, 0.01))
    rules = (
        (Sampling(top_p=0.9), False, True),
        (Sampling(top_k=40), False, False),
        (Sampling(top_k=40, top_p=0.9), False, False),
        (Sampling(top_k=1025), True, True),
        (Sampling(min_p=1e-9), False, False),
        (Sampling(), False, False),
    )
    logits = torch.stack([peaked, flat] * len(rules))
    rows = settings(*(rule for rule, *_ in rules for _ in range(2)))
    spare = torch.empty_like(logits)
    assert truncate(whole(logits), rows, spare).short is None, "a CPU ranks more itself"
    monkeypatch.setattr(module, "on_cpu", lambda tensor: False)
    short = truncate(whole(logits), rows, spare).short
    assert short is not None
    assert short.squeeze(-1).tolist() == [x for _, *both in rules for x in both]


def test_what_is_kept_becomes_a_distribution(device: str) -> None:
    logits = torch.randn(len(RULES), 500, generator=torch.Generator().manual_seed(2))
    logits[:, 7:12] = 2.0
    spare = torch.empty_like(logits)
    whole_norm = whole(logits).log_norm(logits.argmax(-1, keepdim=True))
    made = whole(logits)
    made = made.keep(truncate(made, settings(*RULES), spare, width=500), spare)
    log_p = made.log(torch.arange(500).expand(len(RULES), -1), whole_norm)
    for row, rule in enumerate(RULES):
        ids = defined(logits[row], rule)
        left = logits[row].index_fill(
            0, torch.tensor([*{*range(500)} - ids], dtype=torch.long), -math.inf
        )
        assert torch.allclose(log_p[row], left.log_softmax(-1), atol=1e-5)
        assert set(made.mass[row].nonzero().squeeze(-1).tolist()) == ids


def test_truncations_match_their_definitions_per_row(device: str) -> None:
    logits = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).log().repeat(6, 1)
    rows = settings(
        Sampling(),
        Sampling(top_k=2),
        Sampling(top_p=0.7),
        Sampling(min_p=0.3),
        Sampling(top_p=0.71, min_p=0.5),
        # top-p sees what top-k left (0.47, 0.35, 0.18), and all that min-p will drop.
        Sampling(top_k=3, top_p=0.8),
    )
    kept = truncate(whole(logits), rows, torch.empty_like(logits))
    assert kept_ids(logits, kept) == [
        {0, 1, 2, 3, 4},
        {0, 1},
        {0, 1},
        {0, 1, 2},
        {0, 1},
        {0, 1},
    ]


def test_a_row_of_nan_stays_one(device: str) -> None:
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    logits[1, 4] = math.nan
    rules = settings(*[Sampling(top_k=3, top_p=0.9, min_p=0.1)] * 3)
    spare = torch.empty_like(logits)
    made = whole(logits)
    made = made.keep(truncate(made, rules, spare), spare)
    log_p = made.log(torch.zeros(3, 1, dtype=torch.long), torch.zeros(3, 1))
    assert log_p.squeeze(-1).isnan().tolist() == [False, True, False]


def test_penalties_and_bias_apply_once_and_before_the_temperature() -> None:
    rows = torch.zeros(2, 5)
    sampling = Sampling(
        temperature=0.5,
        frequency_penalty=0.5,
        presence_penalty=1.0,
        logit_bias={4: -100.0, 1: 2.0},
    )
    Edit.of(1, sampling, {1: 3, 2: 1}, CPU).apply(rows)
    assert rows.tolist() == [[0.0] * 5, [0.0, -1.0, -3.0, 0.0, -200.0]]
    Edit.of(0, Sampling(frequency_penalty=1.0), {}, CPU).apply(rows)
    assert rows[0].tolist() == [0.0] * 5
