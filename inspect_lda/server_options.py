"""Model args of engine=vllm: which vLLM is started, and how."""

from pydantic import BaseModel, ConfigDict, Field

from inspect_lda.values import Text


class ServerOptions(BaseModel):
    """Options that only engine=vllm has; descriptions are what users read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vllm_args: Text | None = Field(
        default=None,
        description="options of `vllm serve` as on its command line",
        examples=['-M vllm_args="--tensor-parallel-size 2"'],
    )
    vllm_program: Text | None = Field(
        default=None,
        description="the path of vllm, in an environment that has inspect_lda too; "
        "left out for the one beside this Python, or in PATH",
        examples=["-M vllm_program=/opt/vllm/bin/vllm"],
    )
