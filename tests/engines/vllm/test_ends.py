"""Alpha 0 and -1 are the single models, bit for bit, beside amplified neighbours."""

from typing import Any

import pytest

from tests.engines.vllm.conftest import Start
from tests.engines.vllm.oracle import Ask, Written, asks, sampling

pytestmark = pytest.mark.vllm

TOKENS = 12
UNCACHED: dict[str, Any] = {"enable_prefix_caching": False}


def generate(llm: Any, asked: list[Ask], plain: bool) -> list[Any]:
    prompts = [{"prompt_token_ids": list(ask.prompt)} for ask in asked]
    params = [sampling(ask, TOKENS) for ask in asked]
    if plain:
        for one in params:
            one.extra_args = None
    outputs: list[Any] = llm.generate(prompts, params, use_tqdm=False)
    return outputs


def facts(output: Any) -> tuple[list[int], list[dict[int, float]]]:
    [one] = output.outputs
    rows = [{t: p.logprob for t, p in step.items()} for step in one.logprobs]
    return list(one.token_ids), rows


@pytest.fixture(scope="module")
def pair(start: Start, llama: Written) -> Any:
    # Bit for bit needs the same shapes: what one of two engines has cached already, the
    # other computes in other chunks.
    return start(llama.directory, **UNCACHED)


@pytest.mark.parametrize(("alpha", "half"), [(0.0, "after"), (-1.0, "before")])
def test_an_end_is_the_checkpoint_alone(
    start: Start, llama: Written, pair: Any, alpha: float, half: str
) -> None:
    asked = [Ask(ask.prompt, alpha) for ask in asks(8, seed=11)]
    single = start(getattr(llama.spec, half), **UNCACHED)
    assert list(map(facts, generate(pair, asked, plain=False))) == list(
        map(facts, generate(single, asked, plain=True))
    )


def test_an_end_beside_other_alphas(pair: Any) -> None:
    prompts = [ask.prompt for ask in asks(8, seed=12)]
    for alpha in (0.0, -1.0):
        ends = [Ask(prompt, alpha) for prompt in prompts]
        alone = generate(pair, ends, plain=False)
        mixed = [ask for end in ends for ask in (end, Ask(end.prompt, 3.0))]
        beside = generate(pair, mixed, plain=False)[::2]
        assert [facts(o)[0] for o in alone] == [facts(o)[0] for o in beside]


def test_other_models_are_left_alone(start: Start, llama: Written) -> None:
    # The plugin is loaded for every model: nothing of it may reach a plain one.
    single = start(llama.spec.after)
    config = single.llm_engine.vllm_config
    assert not config.model_config.logits_processors
    assert config.load_config.load_format != "lda"
