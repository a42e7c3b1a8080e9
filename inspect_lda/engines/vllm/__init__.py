"""A checkpoint pair as one vLLM model: `vllm serve` and `LLM(...)` on a pair directory.

vLLM finds `plugin.register` through the entry point group `vllm.general_plugins` in
every process it starts. Everything here acts on the architecture `LDAForCausalLM` only;
other models of the same vLLM run as if this package were not installed.

    plugin      what vLLM calls; registers the rest
    versions    which vLLM this works with
    alpha       the amplification of a request, checked
    config      what a pair directory means for vLLM's configuration
    loader      loads two checkpoints, each as vLLM loads any
    sharing     two halves over one set of base weights
    adapter     a LoRA adapter that is part of a half
    model       both halves as one model
    combine     the rule, over the width of vLLM's logits
    runner_v1, runner_v2        where a step's alphas come from
    validate_v1, validate_v2    where a bad request is refused
"""
