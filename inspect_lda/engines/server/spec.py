"""Which pair is served, and by whom."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerSpec:
    """What the user asked for.

    Attributes:
        after: Checkpoint after the training, as for `PairSpec`.
        before: The one before it; None if it follows from `after`.
        urls: Base URLs of running servers; none starts one.
        tokenizer: Where the tokenizer is, if the checkpoints are not on this machine.
        dtype: auto, float32, float16 or bfloat16.
        max_batch: Most rollouts decoded together; None leaves it to vLLM.
        trust_remote_code: Whether code from a checkpoint may run.
        allow_mixed_quantization: Accept sides that are quantised differently.
        program: The program `vllm`; None looks for it.
        args: Further arguments of `vllm serve`.
    """

    after: str
    before: str | None = None
    urls: tuple[str, ...] = ()
    tokenizer: str | None = None
    dtype: str = "auto"
    max_batch: int | None = None
    trust_remote_code: bool = False
    allow_mixed_quantization: bool = False
    program: str | None = None
    args: tuple[str, ...] = ()
