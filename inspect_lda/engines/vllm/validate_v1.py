"""Refuses a bad request at the door, under Model Runner V1."""

from typing import Any

from vllm.v1.sample.logits_processor import LogitsProcessor

from inspect_lda.engines.vllm.validate import check_request


class ValidateRequest(LogitsProcessor):  # type: ignore[misc]
    """Is asked whether a request is valid, and never touches logits."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raise ValueError on a bad request; vLLM answers with HTTP 400."""
        check_request(sampling_params)

    def __init__(self, vllm_config: Any, device: Any, is_pin_memory: bool) -> None:
        """Keep nothing."""

    def is_argmax_invariant(self) -> bool:
        """Greedy requests need not wait for it."""
        return True

    def update_state(self, batch_update: Any) -> None:
        """Hold no state."""

    def apply(self, logits: Any) -> Any:
        """Leave the logits as they are."""
        return logits
