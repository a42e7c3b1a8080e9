"""Model Runner V2 on a CPU, for tests: its kernels by Triton's interpreter.

V2 is what vLLM uses on a GPU. Importing this module before vLLM makes it run here, by
giving Triton a driver that claims to be a CPU.
"""

import os
from types import SimpleNamespace
from typing import Any

import torch

os.environ["TRITON_INTERPRET"] = "1"
os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "1"


class _Driver:
    """As much of a Triton driver as vLLM asks for."""

    @staticmethod
    def is_active() -> bool:
        return True

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cpu", 0, 1)

    def get_current_device(self) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")

    def get_device_interface(self) -> Any:
        return torch.cpu

    def get_current_stream(self, *args: object) -> int:
        return 0


def install() -> None:
    """Replace Triton's backends, of which none runs here."""
    import triton.backends

    triton.backends.backends.clear()
    triton.backends.backends["cpu"] = SimpleNamespace(driver=_Driver, compiler=None)


install()
