"""How vLLM runs in tests: on one core, without compiling anything."""

import os
from typing import Any

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    # Else the sampler's helpers are compiled with a C++ compiler: a minute.
    "TORCHDYNAMO_DISABLE": "1",
}

ENGINE: dict[str, Any] = {
    "dtype": "float32",
    "enforce_eager": True,
    "max_model_len": 256,
    "max_num_seqs": 64,
    # Far below a batch's prompts, so that they are prefilled in chunks.
    "max_num_batched_tokens": 256,
    "enable_prefix_caching": True,
    "max_logprobs": 100,
}

# The smallest head that vLLM's attention takes on a CPU.
WIDE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 128,
    "head_dim": 32,
}


def apply() -> None:
    """Set the environment; before vLLM is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
