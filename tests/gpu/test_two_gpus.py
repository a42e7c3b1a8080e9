"""One checkpoint on each of two GPUs, and models spread over both."""

import dataclasses
import time

import pytest
import torch

from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.pair import PairSpec, load_pair
from tests.engines.stepping import drive, requests, tokens
from tests.gpu.conftest import Make

pytestmark = pytest.mark.gpu

MIXED = [(4, 30), (1, 12), (11, 25), (7, 9), (3, 22), (14, 6)]
LARGE = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 8,
    "head_dim": 512,
}


def text(spec: PairSpec) -> list[list[int]]:
    return tokens(drive(PairDecoder(load_pair(spec)), requests(MIXED), 4))


def test_each_on_its_own(make: Make, gpu: str, second_gpu: str) -> None:
    spec = make(dtype="float32", device=gpu)
    apart = dataclasses.replace(spec, device=second_gpu, before_device=gpu)
    assert text(apart) == text(spec)
    pair = load_pair(apart)
    assert str(pair.after.device) == second_gpu
    assert str(pair.before.device) == gpu


def test_spread_over_both(make: Make, gpu: str, second_gpu: str) -> None:
    del second_gpu  # its fixture skips where there is none
    spec = make(settings={"num_hidden_layers": 8}, dtype="float32", device=gpu)
    assert text(dataclasses.replace(spec, device="balanced")) == text(spec)


def test_both_work_at_the_same_time(make: Make, gpu: str, second_gpu: str) -> None:
    spec = make(settings=LARGE, dtype="float32", device=gpu)
    apart = dataclasses.replace(spec, device=second_gpu, before_device=gpu)
    seconds = []
    for one in (spec, apart):
        pair = load_pair(one)
        model = AmplifiedLM(pair.before, pair.after)
        ids = torch.ones(64, 128, dtype=torch.long, device=model.device)
        seconds.append(min(_seconds(model, ids) for _ in range(5)))
    assert seconds[1] < 0.75 * seconds[0]


@torch.inference_mode()
def _seconds(model: AmplifiedLM, ids: torch.Tensor) -> float:
    torch.cuda.synchronize(0)
    torch.cuda.synchronize(1)
    start = time.perf_counter()
    after, before = model.halves(None, input_ids=ids, logits_to_keep=1)
    float((after - before).sum())
    return time.perf_counter() - start
