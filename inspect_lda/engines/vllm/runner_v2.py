"""A step's alphas and slots under Model Runner V2: its own seam for a model's state."""

from typing import Any, ClassVar

import numpy as np
import torch
from vllm.v1.worker.gpu.model_states.default import DefaultModelState

from inspect_lda.engines.vllm.alpha import request_alpha
from inspect_lda.engines.vllm.slots import Slot


class PairState(DefaultModelState):  # type: ignore[misc]
    """Keeps the alpha of every request and stages those of a step's tokens.

    The slot of a request is its index among the runner's requests, from 1.
    """

    supports_prompt_embeds: ClassVar[bool] = False

    def __init__(
        self, vllm_config: Any, model: Any, encoder_cache: Any, device: torch.device
    ) -> None:
        super().__init__(vllm_config, model, encoder_cache, device)
        # `[requests, 2]`: alpha and slot.
        self._rows = np.zeros((self.max_num_reqs, 2), np.float32)
        self._rows[:, 0] = model.default_alpha
        self._numbers: dict[str, int] = {}
        self._drafts = vllm_config.speculative_config is not None

    def add_request(self, req_index: int, new_req_data: Any) -> None:
        """Remember a request; also called when it resumes after preemption."""
        super().add_request(req_index, new_req_data)
        sampling = new_req_data.sampling_params
        extra = sampling.extra_args if sampling else None
        default, drawing = self.model.default_alpha, self.model.drawing
        prompt = len(new_req_data.prompt_token_ids or ())
        slot = Slot.of(extra, default, prompt, drawing.width, drafts=self._drafts)
        number = req_index + 1
        drawing.slots.pop(number, None)
        if slot is not None:
            drawing.slots[number] = slot
            self._numbers[new_req_data.req_id] = number
        alpha = request_alpha(extra, default)
        self._rows[req_index] = (alpha, 0 if slot is None else number)

    def remove_request(self, req_id: str) -> None:
        """Forget a request that ended or waits again."""
        super().remove_request(req_id)
        self.model.drawing.slots.pop(self._numbers.pop(req_id, 0), None)

    def prepare_inputs(self, input_batch: Any, req_states: Any) -> Any:
        """Stage alpha and slot of every token, then what any model needs."""
        rows = self._rows[input_batch.idx_mapping_np]
        counts = input_batch.num_scheduled_tokens
        self.model.stage(np.repeat(rows, counts, axis=0))
        return super().prepare_inputs(input_batch, req_states)
