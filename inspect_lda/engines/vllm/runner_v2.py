"""A step's alphas under Model Runner V2: its own seam for the state of a model."""

from typing import Any, ClassVar

import numpy as np
import torch
from vllm.v1.worker.gpu.model_states.default import DefaultModelState

from inspect_lda.engines.vllm.alpha import request_alpha


class PairState(DefaultModelState):  # type: ignore[misc]
    """Keeps the alpha of every request slot and stages those of a step's tokens."""

    supports_prompt_embeds: ClassVar[bool] = False

    def __init__(
        self, vllm_config: Any, model: Any, encoder_cache: Any, device: torch.device
    ) -> None:
        super().__init__(vllm_config, model, encoder_cache, device)
        self._alphas = np.full(self.max_num_reqs, model.default_alpha, np.float32)

    def add_request(self, req_index: int, new_req_data: Any) -> None:
        """Remember a request's alpha; also called when it resumes after preemption."""
        super().add_request(req_index, new_req_data)
        sampling = new_req_data.sampling_params
        extra = sampling.extra_args if sampling else None
        self._alphas[req_index] = request_alpha(extra, self.model.default_alpha)

    def prepare_inputs(self, input_batch: Any, req_states: Any) -> Any:
        """Stage one alpha a token, then what any model needs."""
        rows = self._alphas[input_batch.idx_mapping_np]
        self.model.stage_alphas(np.repeat(rows, input_batch.num_scheduled_tokens))
        return super().prepare_inputs(input_batch, req_states)
