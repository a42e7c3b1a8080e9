"""Hybrid models: recurrent layers decode in lockstep, and give the same text."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.engines.base import ScoreRequest
from inspect_lda.engines.budget import measure
from inspect_lda.engines.choose import amplified_lm
from inspect_lda.engines.prefill import Prefiller
from inspect_lda.engines.transformers import PairDecoder, TransformersEngine
from inspect_lda.errors import LDAError
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.engines.reference import reference_decode, reference_logits
from tests.engines.requests import PROMPTS, no_eos, request, run
from tests.engines.tight import serving, texts
from tests.tiny import BOS, EOS, PAD, VOCAB, save_checkpoint, tiny_model, tiny_tokenizer

COMMON: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": PAD,
    "eos_token_id": EOS,
    "bos_token_id": BOS,
}
MIXED = ["linear_attention", "full_attention"]
MAMBA = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
    "mamba_chunk_size": 8,
}
HYBRIDS: dict[str, dict[str, Any]] = {
    "qwen3_next": {
        "head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
        "layer_types": MIXED,
    },
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
    # Both kinds of state in one layer; the kinds cannot be set in a joint config.
    "falcon_h1": {"head_dim": 8, "mamba_d_ssm": 32, **MAMBA, "mamba_n_heads": 4},
    # Restarts from nothing where a cache is fed several tokens.
    "jamba": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "use_mamba_kernels": False,
    },
}
KINDS = {
    "qwen3_next": "linear_attention",
    "lfm2": "conv",
    "falcon_h1": "hybrid",
    "jamba": "linear_attention",
}


def hybrid_pair(arch: str, folder: Path) -> Pair:
    """A tiny pair of this architecture, loaded from files."""
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(arch, seed, **{**COMMON, **HYBRIDS[arch]})
        save_checkpoint(folder / name, model, tiny_tokenizer())
    return load_pair(PairSpec(f"{folder}/after", f"{folder}/before", device="cpu"))


@pytest.mark.parametrize("arch", HYBRIDS)
async def test_hybrids_equal_the_reference(
    arch: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = hybrid_pair(arch, tmp_path)
    engine = TransformersEngine(pair.spec, max_batch=3)
    asked = [
        request(prompt, alpha, steps)
        for prompt, alpha, steps in zip(
            PROMPTS * 2,
            (0.3, 1.0, -0.5, 2.0, 0.0, -1.0),
            (14, 3, 8, 5, 11, 2),
            strict=True,
        )
    ]
    continuation = (3, 14, 15, 9)
    alphas = (0.0, -1.0, 0.7)
    try:
        got = await run(engine, asked)
        scored = [
            await engine.score(ScoreRequest(prompt, continuation, alphas))
            for prompt in PROMPTS
        ]
    finally:
        engine.close()
    for one, completion in zip(asked, got, strict=True):
        assert list(completion.tokens) == reference_decode(
            pair.after, pair.before, one.prompt, one.alpha, one.max_tokens, no_eos
        )
    for prompt, answer in zip(PROMPTS, scored, strict=True):
        for alpha, found in zip(alphas, answer.log_q, strict=True):
            assert found == pytest.approx(
                [
                    float(
                        reference_logits(
                            pair.after, pair.before, (*prompt, *continuation[:n]), alpha
                        ).log_softmax(-1)[token]
                    )
                    for n, token in enumerate(continuation)
                ],
                abs=1e-3,
            )
    warnings = [r.message for r in caplog.records if "lockstep" in r.message]
    assert len(warnings) == 1
    assert f"layers of kind {KINDS[arch]}" in warnings[0]
    assert pair.after_name in warnings[0]


async def test_questions_of_different_lengths_share_a_pass(tmp_path: Path) -> None:
    pair = hybrid_pair("qwen3_next", tmp_path)
    decoder = PairDecoder(pair)
    asked = [
        ScoreRequest(prompt, tuple(range(20, 20 + n)), (1.0,))
        for n, prompt in enumerate(PROMPTS, start=1)
    ]
    prefiller = Prefiller(decoder, 4096, 0)
    together = decoder.score(asked, prefiller)
    for one, answer in zip(asked, together, strict=True):
        [alone] = decoder.score([one], prefiller)
        assert answer.log_q[0] == pytest.approx(alone.log_q[0], abs=1e-4)
        assert len(answer.log_q[0]) == len(one.continuation)


def test_a_state_is_counted_by_row_and_attention_by_token(tmp_path: Path) -> None:
    decoder = PairDecoder(hybrid_pair("qwen3_next", tmp_path))
    size = measure(decoder)
    # One attention layer a model: keys and values of 2 heads of 8, in float32.
    assert size.per_token == 2 * 2 * 2 * 8 * 4
    assert size.per_row > 2 * 4 * 8 * 8 * 4, "two states of 4 heads, 8 by 8"


def test_a_state_can_not_be_taken_back_so_all_rows_start_again(tmp_path: Path) -> None:
    pair = hybrid_pair("qwen3_next", tmp_path)
    refused: list[int] = []

    class Full(PairDecoder):
        def forward(
            self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
        ) -> tuple[Tensor, Tensor]:
            states = super().forward(ids, mask, positions, cache)
            if len(ids) > 2 and mask.shape[1] > 14:
                refused.append(len(ids))
                raise torch.OutOfMemoryError("out of memory. Tried to allocate 1 GiB")
            return states

    asked = [request(p, 0.5 * i, 9 + i) for i, p in enumerate(PROMPTS * 2)]
    with serving(lambda: PairDecoder(pair)) as ample:
        expected = texts(ample, asked)
    with serving(lambda: Full(pair)) as full:
        assert texts(full, asked) == expected
    assert refused[:2] == [6, 3]


OTHERS: dict[str, dict[str, Any]] = {
    "minimax": {
        "head_dim": 8,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "layer_types": MIXED,
        "block_size": 8,
    },
    "recurrent_gemma": {
        "head_dim": 8,
        "attention_window_size": 8,
        "block_types": ["recurrent", "attention"],
        "lru_width": 32,
    },
}


@pytest.mark.parametrize("arch", OTHERS)
def test_states_outside_of_the_cache_are_refused(arch: str) -> None:
    # MiniMax wants a cache of its own; RecurrentGemma's state is in the model, where
    # another prompt's forward replaces it.
    models = [tiny_model(arch, seed, **{**COMMON, **OTHERS[arch]}) for seed in (1, 2)]
    with pytest.raises(LDAError, match="one cache that holds all of their state"):
        amplified_lm(*models)


def test_ordinary_models_roll_without_a_word(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert PairDecoder(pair).rolls
    assert caplog.records == []
