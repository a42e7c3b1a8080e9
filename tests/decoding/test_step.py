"""A step in few passes says what the definitions say, row by row."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.profiler import profile

from inspect_lda.decoding import distribution, truncate
from inspect_lda.decoding.batch import Edit, Settings
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.measure import is_sound
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.settings import Sampling
from inspect_lda.decoding.step import Asked, Step, Stepper
from tests.decoding.definition import defined

CPU = torch.device("cpu")
V = 700
ALPHAS = (0.0, -1.0, 1.0, 3.0, -0.5, 0.3, 1.0)
RULES = (
    Sampling(temperature=0.7),
    Sampling(temperature=1.5),
    Sampling(temperature=0),
    Sampling(top_k=20, temperature=0.8),
    Sampling(top_p=0.9),
    Sampling(min_p=0.02, logit_bias={3: 4.0, 699: -2.0}),
    Sampling(top_k=40, top_p=0.8, presence_penalty=1.0, frequency_penalty=0.5),
)
PLAIN = tuple(replace(rule, top_k=0, top_p=1.0, min_p=0.0) for rule in RULES)
COUNTS = {5: 2, 8: 1}
EVERYTHING = torch.ones(V, dtype=torch.bool)


def logits(size: int = V) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    after = 3 * torch.randn(len(RULES), V, generator=generator)
    difference = torch.randn(after.shape, generator=generator)
    return after, (after + difference)[:, :size] + 5


def prepared(
    rules: Sequence[Sampling] = RULES,
    *,
    alphas: Sequence[float] = ALPHAS,
    allowed: Tensor = EVERYTHING,
    shared: Tensor = EVERYTHING,
    top: int = 0,
    careful: bool = False,
) -> Stepper:
    settings = Settings.of(rules, alphas, CPU)
    edits = [Edit.of(row, rules[row], COUNTS, CPU) for row in settings.edits]
    uniforms = torch.linspace(0.1, 0.9, len(rules), dtype=torch.float64)
    known = KnownIds(allowed, shared)
    scratch = Scratch.of(len(rules), known.width, CPU)
    return Stepper(known, Asked(settings, edits, uniforms, top), scratch, careful)


def take(
    after: Tensor, before: Tensor, rules: Sequence[Sampling] = RULES, **how: Any
) -> Step:
    return prepared(rules, **how)(after, before)


def table(step: Step) -> Tensor:
    return torch.cat(list(step.evidence), dim=-1)


def alike(quick: Step, careful: Step) -> None:
    assert torch.equal(quick.ids, careful.ids)
    assert torch.allclose(table(quick), table(careful), atol=2e-5)


def defined_log(row: Tensor, rule: Sampling) -> Tensor:
    """Log-probabilities in float64 as the rule samples one row of logits."""
    row = row.double().clone()
    for token, count in COUNTS.items():
        row[token] -= rule.frequency_penalty * count
        row[token] -= rule.presence_penalty
    for token, bias in rule.logit_bias.items():
        row[token] += bias
    row /= rule.temperature or 1
    dropped = torch.ones(len(row), dtype=torch.bool)
    dropped[list(defined(row.float(), rule))] = False
    return row.masked_fill(dropped, -math.inf).log_softmax(-1)


def test_evidence_is_what_float64_says() -> None:
    after, before = logits()
    step = take(after, before, top=3)
    for i, (alpha, rule) in enumerate(zip(ALPHAS, RULES, strict=True)):
        mixed = after[i].double() + alpha * (after[i].double() - before[i].double())
        ids = step.ids[i]
        for got, row in (
            (step.log_q, mixed),
            (step.log_p_after, after[i]),
            (step.log_p_before, before[i]),
        ):
            expected = defined_log(row, rule)[ids]
            assert torch.allclose(got[i].double(), expected, atol=2e-5), rule
        plain = Sampling(temperature=rule.temperature)
        log_after = defined_log(after[i], plain)
        difference = log_after - defined_log(before[i], plain)
        evidence = table(step)[i].tolist()
        assert evidence[:3] == [float(values[i, 0]) for values in step[2:5]]
        assert evidence[3:6] == pytest.approx(
            [
                float(log_after[ids[0]]),
                -float(log_after.exp() @ log_after),
                float(log_after.exp() @ difference),
            ],
            abs=2e-5,
        )
        rare = log_after[ids[0]] < math.log(1e-3) + log_after.max()
        assert evidence[6:10] == [float(rare), 0.0, 0.0, 0.0]
        assert evidence[10:] == [pytest.approx(alpha), 0.0, 0.0]


def test_the_likeliest_ids_come_with_the_drawn_one() -> None:
    after, before = logits()
    step = take(after, before, top=4)
    assert step.ids.shape == (len(RULES), 5)
    assert torch.equal(step.ids[:, :1], take(after, before).ids)
    assert bool((step.log_q[:, 1:].diff() <= 0).all())
    greedy = [rule.temperature == 0 for rule in RULES].index(True)
    assert step.ids[greedy, 0] == step.ids[greedy, 1]


@pytest.mark.parametrize("rules", [RULES, PLAIN, (Sampling(),) * len(RULES)])
def test_alpha_0_and_minus_1_are_the_checkpoints_bit_for_bit(
    rules: Sequence[Sampling],
) -> None:
    step = take(*logits(), rules)
    assert step.log_q[0, 0] == step.log_p_after[0, 0]
    assert step.log_q[1, 0] == step.log_p_before[1, 0]
    assert step.log_q[1, 0] != step.log_p_after[1, 0]
    after, _ = logits()
    same = take(after, after.clone(), rules)
    assert torch.equal(same.log_q, same.log_p_after)
    assert torch.equal(same.log_q, same.log_p_before)
    assert not same.evidence.kl.any()


@pytest.mark.parametrize("rules", [RULES, PLAIN])
@pytest.mark.parametrize("size", [V, V - 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_care_changes_nothing_where_tokenizers_differ(
    rules: Sequence[Sampling], size: int, dtype: torch.dtype
) -> None:
    after, before = (each.to(dtype) for each in logits(size))
    allowed, shared = EVERYTHING.clone(), EVERYTHING.clone()
    allowed[[30, V - 1]] = False
    shared[[30, 40, *range(V - 6, V)]] = False
    rules = [replace(rule, logit_bias={40: 3.0}) for rule in rules]
    masks: dict[str, Any] = {"allowed": allowed, "shared": shared, "top": 2}
    quick = take(after, before, rules, **masks)
    careful = take(after, before, rules, **masks, careful=True)
    alike(quick, careful)
    assert quick.evidence.only_after.tolist() == [[6.0]] * len(rules)
    assert all(map(is_sound, table(quick).tolist()))


@pytest.mark.parametrize("rules", [RULES, PLAIN])
@pytest.mark.parametrize("value", [-math.inf, math.inf, math.nan])
@pytest.mark.parametrize("which", ["after", "before", "both"])
def test_rows_with_infinities_of_their_own_are_not_sound(
    rules: Sequence[Sampling], which: str, value: float
) -> None:
    after, before = logits()
    plain = take(after, before, rules)
    for side in (after, before):
        if which == "both" or side is (after if which == "after" else before):
            side[2::2, 11] = value
    quick = take(after, before, rules)
    sound = [is_sound(row) for row in table(quick).tolist()]
    assert sound == [True, True, False, True, False, True, False]
    assert torch.equal(table(quick)[sound], table(plain)[sound]), "a neighbour's"
    if value == -math.inf:
        careful = take(after, before, rules, careful=True)
        assert not table(careful).isnan().any()


def test_an_id_that_float32_calls_impossible_has_its_log_probability() -> None:
    after, before = logits()
    after[::2, 7] = -300.0
    biased = [Sampling(logit_bias={7: 1000.0})] * len(RULES)
    step = take(after, before, biased)
    assert step.ids[:, 0].tolist() == [7] * len(RULES)
    expected = after.double().log_softmax(-1)[:, 7:8]
    assert float(expected[0].float().exp()) == 0
    assert torch.allclose(step.evidence.log_p_plain.double(), expected, atol=1e-4)


@pytest.mark.parametrize("rules", [RULES, PLAIN])
def test_no_value_is_looked_at_on_a_device(
    rules: Sequence[Sampling], monkeypatch: pytest.MonkeyPatch
) -> None:
    after, before = logits()
    expected = take(after, before, rules)
    for place in (truncate, distribution):
        monkeypatch.setattr(place, "on_cpu", lambda tensor: False)
    stepper = prepared(rules)
    with profile() as seen:
        step = stepper(after, before)
    alike(step, expected)
    names = {event.key for event in seen.key_averages()}
    assert "aten::softmax" in names
    waits = {"aten::item", "aten::_local_scalar_dense", "aten::nonzero"}
    assert not names & waits
