"""Refuses a bad request at the door, under Model Runner V2."""

from typing import Any

from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor

from inspect_lda.engines.vllm.validate import check_request


class ValidateRequest(LogitsProcessor):  # type: ignore[misc]
    """Is asked whether a request is valid, and never touches logits."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raise ValueError on a bad request; vLLM answers with HTTP 400."""
        check_request(sampling_params)

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """Take part in no request."""
        return False

    def apply(self, logits: Any, ctx: Any) -> Any:
        """Leave the logits as they are."""
        return logits
