"""Both halves of a pair as one vLLM model.

The alpha of every token rides in its hidden state: `forward` returns
`[after | before | 16 bytes]`, and the 16 bytes hold the float32 alpha. Whoever asks for
logits, of whatever rows in whatever order (sampling, prompt logprobs, chunks of a
prompt, drafts), so has the right alpha for each. A logits processor would not do: it
sees no prompt logprobs, its rows are not requests under Model Runner V2, and vLLM's
logprobs are taken before it.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import vllm
from torch import Tensor, nn
from vllm.distributed import get_pp_group
from vllm.model_executor.models.interfaces import SupportsPP
from vllm.sequence import IntermediateTensors

from inspect_lda.engines.vllm import runner_v1
from inspect_lda.engines.vllm.combine import Combine
from inspect_lda.engines.vllm.config import pair_block
from inspect_lda.engines.vllm.halves import HALVES, Which
from inspect_lda.engines.vllm.versions import check_version

check_version(vllm.__version__)

_SIDE = 4
"""Float32 values beside a hidden state; four keep the rows aligned to 16 bytes."""

Alphas = np.ndarray[Any, np.dtype[np.float32]]


class LDAForCausalLM(nn.Module, SupportsPP):  # type: ignore[misc]
    """Two independently loaded vLLM models, combined by `amplify`.

    Args:
        vllm_config: Of the pair directory.
        before: The half before the training.
        after: The half after it.
        prefix: Under which the layers of the halves are registered.
    """

    def __init__(
        self, *, vllm_config: Any, before: nn.Module, after: nn.Module, prefix: str = ""
    ) -> None:
        super().__init__()
        if not vllm_config.use_v2_model_runner and not runner_v1.installed():
            raise RuntimeError(
                "the hook of Model Runner V1 is missing, so alphas would be ignored: "
                "is inspect_lda excluded by VLLM_PLUGINS?"
            )
        block = pair_block(vllm_config.model_config)
        self.before, self.after = before, after
        self.config = vllm_config.model_config.hf_config
        self.default_alpha = block.alpha
        self.combine = Combine(block.ids)
        texts = {
            which: getattr(self, which).config.get_text_config() for which in HALVES
        }
        self._sizes = {which: int(text.hidden_size) for which, text in texts.items()}
        self._before_rows = int(texts["before"].vocab_size)
        self._before_end = block.ids.before_end
        # Its address is part of CUDA graphs, so it is allocated once.
        size = max(
            vllm_config.scheduler_config.max_num_batched_tokens,
            vllm_config.compilation_config.max_cudagraph_capture_size or 0,
        )
        staged = torch.full((size, _SIDE), self.default_alpha, dtype=torch.float32)
        self.register_buffer("staged", staged, persistent=False)
        self._uniform: float | None = self.default_alpha

    staged: Tensor

    def stage_alphas(self, alphas: Alphas) -> None:
        """Set the alphas of the next forward pass.

        Args:
            alphas: One a token of the step, on the host.
        """
        if not len(alphas):
            return
        first = float(alphas[0])
        if bool((alphas == alphas[0]).all()):
            if self._uniform != first:
                self.staged.fill_(first)
                self._uniform = first
            return
        values = torch.from_numpy(alphas)
        if self.staged.is_cuda:
            values = values.pin_memory()
        self.staged[: len(alphas), 0].copy_(values, non_blocking=True)
        self._uniform = None

    def embed_input_ids(self, input_ids: Tensor) -> Tensor:
        """Refuse: the halves embed an id differently."""
        raise ValueError("a checkpoint pair has no common embedding of its tokens")

    def make_empty_intermediate_tensors(
        self, batch_size: int, dtype: torch.dtype, device: torch.device
    ) -> IntermediateTensors:
        """What a stage of a pipeline receives, for both halves."""
        empty = {
            which: getattr(self, which).make_empty_intermediate_tensors(
                batch_size, dtype, device
            )
            for which in HALVES
        }
        return _joined({which: one.tensors for which, one in empty.items()})

    def forward(
        self,
        input_ids: Tensor,
        positions: Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor | IntermediateTensors:
        """Hidden states of both halves and the alphas, `[tokens, width]`."""
        if inputs_embeds is not None:
            raise ValueError("a checkpoint pair takes token ids, not embeddings")
        last = get_pp_group().is_last_rank
        rows: Tensor | None = None
        handed_on: dict[Which, dict[str, Tensor]] = {}
        for which in HALVES:
            received = _part(intermediate_tensors, which)
            ids = self._known(input_ids) if which == "before" else input_ids
            out = getattr(self, which)(ids, positions, received, None)
            # Copied at once: CUDA graphs of the other half may use the same memory.
            if not last:
                handed_on[which] = {k: v.clone() for k, v in out.tensors.items()}
                continue
            if rows is None:
                rows = self._rows(out)
            start = self._sizes["after"] if which == "before" else 0
            rows[:, start : start + self._sizes[which]] = out
        return _joined(handed_on) if rows is None else rows

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """Amplified logits `[rows, V]`, float32, of rows that `forward` returned.

        None on ranks that gather no logits.
        """
        ours, theirs = self._sizes["after"], self._sizes["before"]
        after = hidden_states[..., :ours]
        before = hidden_states[..., ours : ours + theirs]
        side = hidden_states[..., ours + theirs :]
        alpha = side.contiguous().view(torch.float32)[..., 0]
        halves: tuple[Any, Any] = (self.after, self.before)
        after_logits = halves[0].compute_logits(after)
        before_logits = halves[1].compute_logits(before)
        if after_logits is None:
            return None
        combined: Tensor = self.combine(after_logits, before_logits, alpha)
        return combined

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Refuse: `PairLoader` loads each half by itself."""
        raise ValueError("a pair directory holds no weights; each half has its own")

    def get_model_state_cls(self) -> type:
        """Where Model Runner V2 keeps the alphas of requests."""
        from inspect_lda.engines.vllm.runner_v2 import PairState

        return PairState

    def _known(self, ids: Tensor) -> Tensor:
        """Ids that `before` can embed: its end of turn for a token it never had."""
        if self._before_rows >= self.combine.size:
            return ids
        return torch.where(ids < self._before_rows, ids, self._before_end)

    def _rows(self, like: Tensor) -> Tensor:
        """Room for both halves' hidden states, with the alphas behind it."""
        side = self.staged[: like.shape[0]].view(like.dtype)
        width = sum(self._sizes.values())
        rows = like.new_empty(like.shape[0], width + side.shape[1])
        rows[:, width:] = side
        return rows


def _joined(parts: dict[Which, dict[str, Tensor]]) -> IntermediateTensors:
    return IntermediateTensors(
        {f"{which}.{k}": v for which, part in parts.items() for k, v in part.items()}
    )


def _part(
    tensors: IntermediateTensors | None, which: Which
) -> IntermediateTensors | None:
    if tensors is None:
        return None
    prefix = f"{which}."
    return IntermediateTensors(
        {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.tensors.items()
            if name.startswith(prefix)
        }
    )
