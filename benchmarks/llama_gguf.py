"""Write a llama checkpoint of transformers as a GGUF file, for llama.cpp.

Tensors keep their type (float32 stays float32), so that a server which computes in
float32 can be compared with transformers. The tokenizer must be a byte-level BPE: its
ids, merges and special tokens go along, and its chat template if it has one.
"""

import json
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFWriter, TokenType
from transformers import PreTrainedModel, PreTrainedTokenizerFast

_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_TOP = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}


def write_llama(
    path: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    pre_tokenizer: str = "gpt-2",
) -> Path:
    """Write one checkpoint and return its path.

    Args:
        path: The file to write.
        model: A `LlamaForCausalLM`; adapters merged.
        tokenizer: A byte-level BPE with as many ids as the model.
        pre_tokenizer: llama.cpp's name of the way text is split before merging.

    Raises:
        ValueError: If the model is no llama, or its vocabulary another one's.
    """
    config: Any = model.config
    if config.model_type != "llama":
        raise ValueError(f"model: a llama is needed, got {config.model_type!r}")
    if len(tokenizer) != config.vocab_size:
        raise ValueError(
            f"tokenizer: it has {len(tokenizer)} ids, the model {config.vocab_size}"
        )
    writer = GGUFWriter(path, "llama")
    _add_shape(writer, config)
    _add_tokenizer(writer, tokenizer, pre_tokenizer)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        writer.add_tensor(_gguf_name(name), _permuted(name, tensor, config).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_shape(writer: GGUFWriter, config: Any) -> None:
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer(
    writer: GGUFWriter, tokenizer: PreTrainedTokenizerFast, pre_tokenizer: str
) -> None:
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    special = set(tokenizer.all_special_tokens)
    special |= {one["content"] for one in backend["added_tokens"] if one["special"]}
    by_token = tokenizer.get_vocab()
    tokens = sorted(by_token, key=by_token.__getitem__)
    types = [
        TokenType.CONTROL if token in special else TokenType.NORMAL for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in backend["model"]["merges"]])
    # A rendered chat says by itself where it begins.
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in _TOP:
        return f"{_TOP[stem]}.weight"
    layer, _, rest = stem.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{_LAYER[rest]}.weight"


def _permuted(name: str, tensor: torch.Tensor, config: Any) -> torch.Tensor:
    """llama.cpp interleaves the two rotary halves of queries and keys."""
    if "q_proj" in name:
        heads = config.num_attention_heads
    elif "k_proj" in name:
        heads = config.num_key_value_heads
    else:
        return tensor
    rows, columns = tensor.shape
    halves = tensor.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns).contiguous()
