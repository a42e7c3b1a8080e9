"""Every way through the engine, held to the same three laws.

Greedy tokens are those of the oracle, sampled tokens follow the exact distribution,
and a row's text does not depend on the rows around it.
"""

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from scipy import stats
from transformers import PreTrainedModel

from inspect_lda.engines import transformers as engine
from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.budget import UNLIMITED, Budget, Footprint
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.doubled import DoubledLM, DoubledTrunkLM
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.engines.trunk import TrunkLM
from inspect_lda.pair import Pair
from tests.engines.reference import Model, reference_decode, reference_logits
from tests.engines.requests import PROMPTS, no_eos, request
from tests.engines.stepping import drive
from tests.tiny import tiny_model

LAYERS = 4
TOP_K = 4
DRAWS = 3000
STORES_NOTHING = Budget(3, Footprint(0))
"""Rows cost nothing and prefixes too much: every prompt is prefilled again."""


def adapted(base: PreTrainedModel, layers: list[int]) -> PeftModel:
    """A LoRA of real size on some layers of a tree over the same tensors."""
    tensors = [*base.parameters(), *base.buffers()]
    tree = copy.deepcopy(base, {id(one): one for one in tensors})
    config = LoraConfig(r=4, target_modules=["q_proj"], layers_to_transform=layers)
    model = get_peft_model(tree, config)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    return model.eval().requires_grad_(False)


class Lockstep(AmplifiedLM):
    """Two models whose rows neither join nor leave, as with recurrent layers."""

    @property
    def rolls(self) -> bool:
        return False


Form = Callable[..., AmplifiedLM]
PATHS: dict[str, tuple[Form, list[int] | None]] = {
    "rolling": (AmplifiedLM, None),
    "lockstep": (Lockstep, None),
    "adapter in two passes": (AmplifiedLM, [*range(LAYERS)]),
    "doubled rows": (DoubledLM, [*range(LAYERS)]),
    "trunk": (lambda b, a, **m: TrunkLM(b, a, 2, **m), [2, 3]),
    "trunk and doubled rows": (lambda b, a, **m: DoubledTrunkLM(b, a, 2, **m), [2, 3]),
}


JOINTS = ("rolling", "lockstep", "trunk and doubled rows")
"""Between them they take every turn; each of the others takes some of these."""


@pytest.fixture(params=list(PATHS))
def decoder(
    request: pytest.FixtureRequest, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> PairDecoder:
    form, layers = PATHS[request.param]
    before = tiny_model(seed=2, num_hidden_layers=LAYERS)
    after: Model = tiny_model(seed=1, num_hidden_layers=LAYERS)
    if layers is not None:
        after = adapted(before, layers)

    def chosen(before: Any, after: Any, **masks: Any) -> AmplifiedLM:
        return form(before, after, **masks)

    monkeypatch.setattr(engine, "amplified_lm", chosen)
    made = PairDecoder(replace(pair, before=before, after=after))
    assert made.rolls is (request.param != "lockstep")
    return made


def texts(
    decoder: PairDecoder, requests: Sequence[Request], slots: int, shared: bool = True
) -> list[tuple[int, ...]]:
    """The tokens of requests that go through one batch, in their order."""
    budget = UNLIMITED if shared else STORES_NOTHING
    rows = drive(decoder, requests, slots, joining=slots, budget=budget)
    assert all(row.stop_reason == "max_tokens" for row in rows)
    return [tuple(row.tokens) for row in rows]


MIXED = [
    request(prompt, alpha, steps)
    for (prompt, alpha), steps in zip(
        itertools.product(PROMPTS, (-2.0, -1.0, 0.0, 0.3, 3.0)),
        itertools.cycle((3, 17, 9, 25)),
        strict=False,
    )
]


@pytest.mark.parametrize("shared", [True, False])
def test_greedy_tokens_are_the_oracle_s(decoder: PairDecoder, shared: bool) -> None:
    got = texts(decoder, MIXED, 4, shared)
    for asked, tokens in zip(MIXED, got, strict=True):
        expected = reference_decode(
            decoder.pair.after,
            decoder.pair.before,
            asked.prompt,
            asked.alpha,
            asked.max_tokens,
            no_eos,
        )
        assert list(tokens) == expected


@pytest.mark.parametrize(
    "decoder",
    [
        pytest.param(path, marks=[] if path in JOINTS else [pytest.mark.slow])
        for path in PATHS
    ],
    indirect=True,
)
def test_two_sampled_tokens_follow_their_exact_joint(decoder: PairDecoder) -> None:
    alphas = (-1.0, 0.0, 0.5, 2.0)
    sampling = Sampling(top_k=TOP_K, temperature=0.8)
    requests = [
        request(PROMPTS[0], alpha, 2, replace(sampling, seed=len(alphas) * seed + i))
        for seed in range(DRAWS)
        for i, alpha in enumerate(alphas)
    ]
    drawn = texts(decoder, requests, 256)
    for offset, alpha in enumerate(alphas):
        joint = exact_joint(decoder.pair, alpha, sampling.temperature)
        counts = dict.fromkeys(joint, 0)
        for tokens in drawn[offset :: len(alphas)]:
            assert tokens in joint
            counts[tokens] += 1
        cells = sorted(joint, key=joint.__getitem__, reverse=True)
        cells = [cell for cell in cells if joint[cell] * DRAWS >= 5]
        observed = [counts[cell] for cell in cells]
        expected = [joint[cell] * DRAWS for cell in cells]
        rest = DRAWS - sum(expected)
        if rest > 1e-9 * DRAWS:
            observed.append(DRAWS - sum(observed))
            expected.append(rest)
        assert stats.chisquare(observed, expected).pvalue > 1e-4, alpha


def exact_joint(
    pair: Pair, alpha: float, temperature: float
) -> dict[tuple[int, ...], float]:
    """Probabilities of every two tokens that top-k leaves, float64."""
    joint: dict[tuple[int, ...], float] = {}
    for first, p in kept(pair, PROMPTS[0], alpha, temperature):
        for second, q in kept(pair, (*PROMPTS[0], first), alpha, temperature):
            joint[first, second] = p * q
    return joint


def kept(
    pair: Pair, ids: Sequence[int], alpha: float, temperature: float
) -> list[tuple[int, float]]:
    logits = reference_logits(pair.after, pair.before, ids, alpha).double()
    logits[pair.tokenizer.eos_token_id] -= 100  # the requests bias it away
    top = logits.topk(TOP_K)
    p = (top.values / temperature).softmax(-1)
    return list(zip(top.indices.tolist(), p.tolist(), strict=True))


def test_a_text_is_the_same_alone_and_in_every_crowd(decoder: PairDecoder) -> None:
    sampled = [
        request(prompt, alpha, 5 + seed % 9, Sampling(seed=seed))
        for seed, (prompt, alpha) in enumerate(
            itertools.product(PROMPTS * 2, (-1.0, 0.0, 0.7, 4.0))
        )
    ]
    alone = [texts(decoder, [one], 1)[0] for one in sampled]
    assert texts(decoder, sampled, 8) == alone
    assert texts(decoder, sampled[::-1], 5)[::-1] == alone
    assert texts(decoder, sampled, 32, shared=False) == alone
