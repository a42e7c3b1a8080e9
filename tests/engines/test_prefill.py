"""One prefill per prompt, shared prefixes, and no difference in the text."""

import asyncio
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.prefill import Prefiller
from inspect_lda.engines.prefix import PrefixStore
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.engines.transformers import PairDecoder, TransformersEngine
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.engines.reference import reference_decode
from tests.engines.requests import no_eos
from tests.tiny import EOS, save_checkpoint, tiny_model, tiny_tokenizer

SYSTEM = tuple(range(5, 25))
TURNS = (
    (*SYSTEM, 30, 31, 32),
    (*SYSTEM, 40),
    (*SYSTEM, 30, 31, 32, 50, 51),
    (60, 61),
)


class Counting(PairDecoder):
    """The real decoder; counts the ids it is fed."""

    fed = 0

    def forward(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
    ) -> tuple[Tensor, Tensor]:
        """Count and run."""
        self.fed += ids.numel()
        return super().forward(ids, mask, positions, cache)


def test_every_prompt_is_prefilled_once(pair: Pair) -> None:
    model = Counting(pair)
    prefiller = Prefiller(model, max_tokens=4096, prefix_bytes=1 << 20)
    prefiller.shared([TURNS[0]] * 50)
    assert model.fed == len(TURNS[0])
    prefiller.shared([TURNS[0]] * 50)
    assert model.fed == len(TURNS[0])
    prefiller.shared([TURNS[2]])
    assert model.fed == len(TURNS[0]) + 2, "a longer turn feeds only what is new"
    prefiller.shared([TURNS[1]])
    assert model.fed == len(TURNS[0]) + 3, "a shared system message is not fed again"


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_shared_prefill_equals_a_plain_one(pair: Pair, order: tuple[int, ...]) -> None:
    model = PairDecoder(pair)
    prefiller = Prefiller(model, max_tokens=4096, prefix_bytes=1 << 20)
    for index in order:
        _, mask, (after, before) = prefiller.shared([TURNS[index], TURNS[3]])
        assert mask.sum(-1).tolist() == [len(TURNS[index]), len(TURNS[3])]
        plain = model.model.halves(None, input_ids=torch.tensor([TURNS[index]]))
        assert torch.allclose(after[0], plain[0][0, -1], atol=1e-4)
        assert torch.allclose(before[0], plain[1][0, -1], atol=1e-4)


def test_budget_drops_the_least_recently_used(pair: Pair) -> None:
    model = Counting(pair)
    one = Prefiller(model, 4096, prefix_bytes=1 << 20)
    one.shared([TURNS[3]])
    size = one._store.get(TURNS[3])
    assert size is not None
    small = Prefiller(model, 4096, prefix_bytes=int(size.nbytes * 2.5))
    for prompt in ((60, 61), (62, 63), (64, 65)):
        small.shared([prompt])
    fed = model.fed
    small.shared([(64, 65)])
    assert model.fed == fed
    small.shared([(60, 61)])
    assert model.fed == fed + 2


def test_a_store_without_budget_keeps_nothing(pair: Pair) -> None:
    model = Counting(pair)
    none = Prefiller(model, 4096, prefix_bytes=0)
    none.shared([TURNS[0]])
    none.shared([TURNS[0]])
    assert model.fed == 2 * len(TURNS[0])


def test_a_prompt_that_is_used_again_stays(pair: Pair) -> None:
    model = Counting(pair)
    one = Prefiller(model, 64, prefix_bytes=1 << 20)
    one.shared([TURNS[3]])
    stored = one._store.get(TURNS[3])
    assert stored is not None
    small = Prefiller(model, 64, prefix_bytes=int(stored.nbytes * 2.5))
    for prompt in ((60, 61), (62, 63), (60, 61), (64, 65)):
        small.shared([prompt])
    fed = model.fed
    small.shared([(60, 61)])
    assert model.fed == fed


def test_a_prefill_is_no_larger_than_allowed(pair: Pair) -> None:
    prefiller = Prefiller(PairDecoder(pair), max_tokens=10, prefix_bytes=1 << 20)
    assert prefiller.fits([(1,) * 4, (2,) * 4, (3,) * 4]) == 2
    assert prefiller.fits([(1,) * 4] * 9) == 9, "one prompt, fed once"
    assert prefiller.fits([(1,) * 99, (2,)]) == 1, "one always fits"
    assert prefiller.fits([]) == 0
    prefiller.shared([(1,) * 99])
    assert prefiller.fits([(1,) * 99, (2,) * 4, (3,) * 4]) == 3, "the first is known"


def test_padding_that_no_row_needs_is_dropped(pair: Pair) -> None:
    decoder = PairDecoder(pair)
    batch = RollingBatch(decoder, max_rows=2)
    sampling = Sampling(temperature=0, logit_bias={EOS: -100.0})
    rows = [
        decoder.row(Request(prompt, 1.0, sampling, max_tokens=steps))
        for prompt, steps in ((TURNS[2], 2), (TURNS[3], 9))
    ]
    batch.admit(rows)
    batch.step()
    assert batch._mask.shape == (2, len(TURNS[2]) + 1)
    batch.drop_finished()
    assert batch._mask.shape == (1, len(TURNS[3]) + 1)
    assert batch._cache is not None
    assert batch._cache.get_seq_length() == len(TURNS[3]) + 1


def test_longest_prefix_of_an_empty_store() -> None:
    assert PrefixStore(10).longest((1, 2)) == (0, None)


@pytest.mark.parametrize("arch", ["llama", "mistral", "gemma3_text", "gpt2"])
async def test_conversations_equal_the_reference(arch: str, tmp_path: Path) -> None:
    for name, seed in (("after", 1), ("before", 2)):
        save_checkpoint(tmp_path / name, tiny_model(arch, seed=seed), tiny_tokenizer())
    spec = PairSpec(
        after=str(tmp_path / "after"),
        before=str(tmp_path / "before"),
        dtype="float32",
        device="cpu",
    )
    pair, engine = load_pair(spec), TransformersEngine(spec, max_batch=3)
    sampling = Sampling(temperature=0, logit_bias={EOS: -100.0})
    requests = [
        Request(prompt, alpha, sampling, max_tokens=steps)
        for prompt, alpha, steps in zip(
            TURNS * 2,
            (0.5, 2.0, -0.5, 1.0) * 2,
            (9, 4, 12, 3, 7, 2, 5, 10),
            strict=True,
        )
    ]
    try:
        first = await engine.generate(requests[0])
        rest = await asyncio.gather(*map(engine.generate, requests[1:]))
    finally:
        engine.close()
    for asked, got in zip(requests, [first, *rest], strict=True):
        assert list(got.tokens) == reference_decode(
            pair.after, pair.before, asked.prompt, asked.alpha, asked.max_tokens, no_eos
        )


def test_a_system_message_of_a_whole_wave_is_fed_once(pair: Pair) -> None:
    model = Counting(pair)
    prefiller = Prefiller(model, max_tokens=4096, prefix_bytes=1 << 20)
    wave = [(*SYSTEM, 30 + index, 31) for index in range(10)]
    _, _, (after, _) = prefiller.shared(wave)
    assert model.fed == len(SYSTEM) + 2 * len(wave)
    plain = model.model.halves(None, input_ids=torch.tensor(wave))[0][:, -1]
    assert torch.allclose(after, plain, atol=1e-4)
