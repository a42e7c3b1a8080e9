"""What is sampled has the amplified distribution, request by request."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from tests.engines.vllm.conftest import Start
from tests.engines.vllm.oracle import Written

pytestmark = pytest.mark.vllm

PROMPT = (5, 9, 33, 12)
DRAWS = 4000
TEMPERATURE = 0.8


@pytest.fixture(scope="module")
def counts(start: Start, llama: Written) -> dict[float, np.ndarray[Any, Any]]:
    """First tokens drawn at each alpha, all alphas in the same steps."""
    from vllm import SamplingParams

    alphas = (-1.0, 0.0, 0.5, 2.0)
    params = [
        SamplingParams(
            temperature=TEMPERATURE, max_tokens=1, extra_args={"lda_alpha": alpha}
        )
        for _ in range(DRAWS)
        for alpha in alphas
    ]
    llm = start(llama.directory, seed=7)
    prompts = [{"prompt_token_ids": list(PROMPT)}] * len(params)
    outputs = llm.generate(prompts, params, use_tqdm=False)
    tokens = np.array([output.outputs[0].token_ids[0] for output in outputs])
    return {alpha: tokens[i :: len(alphas)] for i, alpha in enumerate(alphas)}


@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.5, 2.0])
def test_first_tokens_follow_the_exact_distribution(
    counts: dict[float, np.ndarray[Any, Any]], llama: Written, alpha: float
) -> None:
    logits = llama.logits(PROMPT, alpha)[-1]
    exact = torch.softmax(logits / TEMPERATURE, -1).double().numpy()
    seen = np.bincount(counts[alpha], minlength=len(exact)).astype(float)
    common = exact * DRAWS >= 5
    expected = np.append(exact[common], exact[~common].sum()) * DRAWS
    found = np.append(seen[common], seen[~common].sum())
    expected *= found.sum() / expected.sum()
    assert len(expected) > 5
    assert chisquare(found, expected).pvalue > 1e-4
