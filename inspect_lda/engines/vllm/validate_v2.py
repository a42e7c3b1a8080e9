"""Refuses a bad alpha at the door, under Model Runner V2."""

from typing import Any

from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor

from inspect_lda.engines.vllm.alpha import request_alpha


class ValidateAlpha(LogitsProcessor):  # type: ignore[misc]
    """Is asked whether a request is valid, and never touches logits."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raise ValueError on a bad alpha; vLLM answers with HTTP 400."""
        request_alpha(sampling_params.extra_args, 0.0)

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """Take part in no request."""
        return False

    def apply(self, logits: Any, ctx: Any) -> Any:
        """Leave the logits as they are."""
        return logits
