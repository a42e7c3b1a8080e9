"""Decoding on a GPU: the CPU's text in float32, sound evidence in half precision."""

import dataclasses

import pytest
import torch

from inspect_lda.engines.base import Completion, Sampling
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.errors import LDAError
from inspect_lda.pair import PairSpec, load_pair
from tests.engines.requests import PROMPTS, request, run, told
from tests.gpu.conftest import Make
from tests.tiny import ARCHITECTURES

pytestmark = pytest.mark.gpu

REQUESTS = [
    request(prompt, alpha, 16, Sampling(temperature=temperature, seed=index))
    for index, (prompt, alpha, temperature) in enumerate(
        zip(
            PROMPTS * 2,
            (0.5, 1.0, 3.0, 0.0, -1.0, 1.0),
            (0, 0, 0, 1, 1, 1),
            strict=True,
        )
    )
]


async def answers(spec: PairSpec) -> list[Completion]:
    engine = TransformersEngine(spec, max_batch=4)
    try:
        return await run(engine, REQUESTS)
    finally:
        engine.close()


@pytest.mark.parametrize("arch", ARCHITECTURES)
async def test_float32_gives_the_text_of_the_cpu(
    arch: str, make: Make, gpu: str
) -> None:
    spec = make(arch, dtype="float32", device="cpu")
    expected = await answers(spec)
    found = await answers(dataclasses.replace(spec, device=gpu))
    assert [one.tokens for one in found] == [one.tokens for one in expected]


@pytest.mark.parametrize(
    ("dtype", "head_dtype", "precision"),
    [
        ("auto", "auto", "float16"),
        ("bfloat16", "auto", "bfloat16"),
        ("bfloat16", "float32", "bfloat16, head float32"),
    ],
)
async def test_half_precision(
    dtype: str, head_dtype: str, precision: str, make: Make, gpu: str
) -> None:
    spec = make(dtype=dtype, head_dtype=head_dtype, device=gpu)
    for asked, got in zip(REQUESTS, await answers(spec), strict=True):
        evidence = told(got)
        assert len(got.tokens) == asked.max_tokens
        assert evidence.precision == precision
        assert evidence.log_p_after is not None, "it is not finite"
        assert evidence.log_p_before is not None, "it is not finite"
        if asked.sampling.temperature and asked.alpha in (0.0, -1.0):
            end = evidence.log_p_after if asked.alpha == 0 else evidence.log_p_before
            assert evidence.log_q == end


def test_weights_that_do_not_fit(make: Make, gpu: str) -> None:
    large = {"hidden_size": 1024, "intermediate_size": 4096, "head_dim": 256}
    spec = make(settings=large, dtype="float32", device=gpu)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(gpu).total_memory
    torch.cuda.set_per_process_memory_fraction(32e6 / total, gpu)
    try:
        with pytest.raises(LDAError, match=r"before: out of memory .* on cuda:0"):
            load_pair(spec)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, gpu)


async def test_a_batch_that_does_not_fit_and_the_next_one(make: Make, gpu: str) -> None:
    settings = {"max_position_embeddings": 1 << 16}
    engine = TransformersEngine(make(settings=settings, dtype="float32", device=gpu))
    try:
        await engine.pair()
        held = torch.cuda.memory_reserved(gpu)
        total = torch.cuda.get_device_properties(gpu).total_memory
        torch.cuda.set_per_process_memory_fraction((held + 64e6) / total, gpu)
        too_long = request(PROMPTS[1] * 2000, max_tokens=4)
        with pytest.raises(RuntimeError, match="out of memory"):
            await engine.generate(too_long)
        torch.cuda.set_per_process_memory_fraction(1.0, gpu)
        assert len((await engine.generate(REQUESTS[0])).tokens) == 16
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, gpu)
        engine.close()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
async def test_flash_attention(dtype: str, make: Make, gpu: str) -> None:
    pytest.importorskip("flash_attn")
    spec = make(
        settings={"head_dim": 32},
        dtype=dtype,
        device=gpu,
        attn_implementation="flash_attention_2",
    )
    for asked, got in zip(REQUESTS, await answers(spec), strict=True):
        assert len(got.tokens) == asked.max_tokens
        assert told(got).log_p_after is not None, "it is not finite"
