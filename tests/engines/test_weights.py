"""Amplified weights: what the models are, and that their evidence is the usual one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from peft import PeftModel
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers import AutoModelForCausalLM

from inspect_lda.engines import create_engine
from inspect_lda.engines.base import Completion, Request, Sampling, ScoreRequest
from inspect_lda.engines.extrapolated import extrapolated
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.engines.weights import HELD, WeightsEngine
from inspect_lda.errors import LDAError
from inspect_lda.evidence import EvidenceLevel
from inspect_lda.pair import PairSpec, clear_registry, load_pair
from tests.engines.requests import PROMPTS, request, told
from tests.pair.conftest import save_adapter
from tests.pair.looking import logits, pointers
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

SETTINGS = Sampling(
    temperature=0.8,
    top_p=0.9,
    seed=3,
    frequency_penalty=0.4,
    presence_penalty=0.2,
    logit_bias={40: 1.5},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("weights")
    base = save_checkpoint(root / "base", tiny_model(seed=1), tiny_tokenizer())
    save_adapter(base, root / "one", seed=7)
    save_adapter(base, root / "two", seed=8, target_modules=["v_proj", "o_proj"])
    yield root
    clear_registry()


@pytest.fixture(params=["base", "two"])
def spec(request: pytest.FixtureRequest, folder: Path) -> PairSpec:
    """An adapter over its base, and over another adapter of that base."""
    before = str(folder / request.param)
    after = str(folder / "one")
    return PairSpec(after, before, dtype="float32", device="cpu", amplify="weights")


@pytest_asyncio.fixture
async def weights(spec: PairSpec) -> AsyncIterator[WeightsEngine]:
    engine = create_engine("transformers", spec, max_batch=4, memory_fraction=0.1)
    assert isinstance(engine, WeightsEngine)
    yield engine
    engine.close()


@pytest_asyncio.fixture
async def plain(spec: PairSpec) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(replace(spec, amplify="logits"), max_batch=4)
    yield engine
    engine.close()


def merged(folder: Path, factors: dict[str, float]) -> torch.Tensor:
    """Logits of the base with adapters merged into its weights, each by a factor."""
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    plain = {name: one.clone() for name, one in base.state_dict().items()}
    total = dict(plain)
    for name, factor in factors.items():
        fresh = AutoModelForCausalLM.from_pretrained(
            folder / "base", dtype=torch.float32
        )
        after = PeftModel.from_pretrained(fresh, str(folder / name)).merge_and_unload()
        for key, tensor in after.state_dict().items():
            total[key] = total[key] + factor * (tensor - plain[key])
    base.load_state_dict(total)
    return logits(base.eval())


@pytest.mark.parametrize("alpha", [-2.5, -0.4, 0.7, 3.0])
def test_the_model_is_that_of_the_extrapolated_weights(
    alpha: float, spec: PairSpec, folder: Path
) -> None:
    pair = load_pair(replace(spec, amplify="logits"))
    factors = {"one": 1 + alpha}
    if spec.before and spec.before.endswith("two"):
        factors["two"] = -alpha
    found = extrapolated(pair, alpha)
    assert found.after is found.before
    torch.testing.assert_close(
        logits(found.after), merged(folder, factors), rtol=1e-3, atol=1e-4
    )
    # The tensors of the base are still those of the pair.
    base = load_pair(PairSpec(str(folder / "one"), dtype="float32", device="cpu"))
    assert pointers(base.before) <= pointers(found.after)


def test_alpha_0_and_minus_1_are_the_checkpoints(spec: PairSpec) -> None:
    pair = load_pair(replace(spec, amplify="logits"))
    assert extrapolated(pair, 0).after is pair.after
    assert extrapolated(pair, -1).after is pair.before


@pytest.mark.parametrize("alpha", [0.0, -1.0])
async def test_evidence_at_a_checkpoint_is_that_of_amplified_logits(
    alpha: float, weights: WeightsEngine, plain: TransformersEngine
) -> None:
    for seed, prompt in enumerate(PROMPTS):
        asked = request(prompt, alpha, 20, replace(SETTINGS, seed=seed))
        ours, theirs = await asyncio.gather(
            weights.generate(asked), plain.generate(asked)
        )
        assert ours.tokens == theirs.tokens
        assert ours.stop_reason == theirs.stop_reason
        assert told(ours).sampling == told(theirs).sampling
        rest = {"decisive", "per_token", "also", "sampling"}
        expected = told(theirs).model_dump(exclude=rest)
        assert told(ours).model_dump(exclude=rest) == pytest.approx(expected, abs=1e-3)
        assert arrays(ours) == {
            name: pytest.approx(values, abs=1e-4)
            for name, values in arrays(theirs).items()
        }


def arrays(completion: Completion) -> dict[str, list[float]]:
    packed = told(completion).per_token
    assert packed is not None
    return packed.unpack()


async def test_log_q_is_of_the_model_that_was_drawn_from(
    weights: WeightsEngine, plain: TransformersEngine
) -> None:
    asked = Request(PROMPTS[1], 1.5, Sampling(temperature=0.9, seed=2), max_tokens=15)
    found = await weights.generate(asked)
    forced = ScoreRequest(PROMPTS[1], found.tokens, (1.5, 0.0), temperature=0.9)
    ours, theirs = await weights.score(forced), await plain.score(forced)
    recorded = arrays(found)
    for name, expected in (
        ("log_q", ours.log_q[0]),
        ("log_p_after", theirs.log_p_after),
        ("log_p_before", theirs.log_p_before),
    ):
        assert recorded[name] == pytest.approx(expected, abs=1e-3)
    assert ours.log_p_after == ours.log_q[1]
    assert ours.log_p_after == pytest.approx(theirs.log_p_after, abs=1e-3)
    # Another model than that of amplified logits, not the same one in disguise.
    assert ours.log_q[0] != pytest.approx(theirs.log_q[0], abs=1e-2)


async def test_alphas_side_by_side_are_what_each_is_alone(
    weights: WeightsEngine,
) -> None:
    alphas = [0.5 * one - 2 for one in range(HELD + 3)]
    asked = [
        request(prompt, alpha, 8, Sampling(seed=1))
        for alpha in alphas
        for prompt in PROMPTS
    ]
    together = await asyncio.gather(*map(weights.generate, asked))
    assert len({one.tokens for one in together}) > len(PROMPTS)
    for one, found in zip(asked, together, strict=True):
        again = await weights.generate(one)
        assert (again.tokens, told(again).alpha) == (found.tokens, one.alpha)
    # Batches that nobody uses gave their place to others.
    assert len(weights._batches) == HELD


async def test_a_token_takes_one_forward_and_evidence_one_more_pass(
    weights: WeightsEngine,
) -> None:
    levels: tuple[EvidenceLevel, ...] = ("none", "summary")
    passes = []
    for level in levels:
        asked = replace(request(alpha=0.5), evidence=level)
        # Loading, and what is stored of the prompt, are not counted.
        await weights.generate(asked)
        with positions() as seen:
            found = await weights.generate(asked)
        assert (found.evidence is None) is (level == "none")
        assert found.logprobs is None
        passes.append(sum(seen) / tiny_model().config.num_hidden_layers)
    drawn = len(found.tokens)
    # The last token is fed to nobody; both checkpoints read the others at once.
    assert passes == [drawn - 1, 3 * (drawn - 1)]


@contextmanager
def positions() -> Iterator[list[int]]:
    """Positions that any layer of any model is run on."""
    seen: list[int] = []

    def count(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if type(module).__name__ == "LlamaDecoderLayer":
            seen.append(inputs[0].shape[0] * inputs[0].shape[1])

    hook = register_module_forward_pre_hook(count)
    try:
        yield seen
    finally:
        hook.remove()


async def test_log_probabilities_that_were_asked_for_are_kept(
    weights: WeightsEngine,
) -> None:
    asked = replace(request(sampling=SETTINGS), top_logprobs=2)
    with_evidence = await weights.generate(asked)
    without = await weights.generate(replace(asked, evidence="none"))
    assert with_evidence.logprobs is not None
    assert with_evidence.logprobs == without.logprobs
    assert [len(one.top) for one in with_evidence.logprobs] == [2] * 12


async def test_what_acts_on_logits_is_refused(weights: WeightsEngine) -> None:
    for asked, name in (
        (replace(request(), placebo=True), "placebo"),
        (replace(request(), support=20), "support"),
    ):
        with pytest.raises(LDAError, match=f"amplify=weights with {name}="):
            await weights.generate(asked)


async def test_pairs_that_are_no_adapters_are_refused(folder: Path) -> None:
    other = save_checkpoint(folder / "other", tiny_model(seed=2), tiny_tokenizer())
    taught = save_adapter(
        folder / "base", folder / "taught", modules_to_save=["lm_head"]
    )
    for after, before in ((other, folder / "base"), (taught, folder / "base")):
        engine = WeightsEngine(PairSpec(str(after), str(before), device="cpu"))
        try:
            with pytest.raises(LDAError, match="not differ by plain LoRA adapters"):
                await engine.generate(request())
        finally:
            engine.close()


def test_amplify_is_one_of_two() -> None:
    with pytest.raises(LDAError, match=r"amplify: got 'weight'.+ logits, and"):
        PairSpec("x", amplify="weight")
