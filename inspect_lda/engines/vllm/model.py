"""Both halves of a pair as one vLLM model.

The alpha of every token rides in its hidden state: `forward` returns
`[after | before | 16 bytes]`. The 16 bytes are four float32 numbers: the alpha, the
slot of a request whose tokens are drawn here (`drawing`; 0 for none), the position, and
one that is not used. Whoever asks for logits, of whatever rows in whatever order
(sampling, prompt logprobs, chunks of a prompt, drafts), so knows whose each is. A
logits processor would not do: it sees no prompt logprobs, its rows are not requests
under Model Runner V2, and vLLM's logprobs are taken before it.
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
from inspect_lda.engines.vllm.drawing import Drawing
from inspect_lda.engines.vllm.halves import HALVES, Which
from inspect_lda.engines.vllm.versions import check_version

check_version(vllm.__version__)

_SIDE = 4
"""Float32 values beside a hidden state; four keep the rows aligned to 16 bytes."""
_STAGED = 2
"""Of these, the ones that the host knows: alpha and slot."""
_POSITION = 2
"""Where the position stands."""

Staged = np.ndarray[Any, np.dtype[np.float32]]


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
        staged = torch.zeros((size, _SIDE), dtype=torch.float32)
        staged[:, 0] = self.default_alpha
        self.register_buffer("staged", staged, persistent=False)
        self._uniform: tuple[float, float] | None = (self.default_alpha, 0.0)
        self.drawing = Drawing(block.ids, _end(self.config), self.staged.device)

    staged: Tensor

    def stage(self, rows: Staged) -> None:
        """Set the alphas and slots of the next forward pass.

        Args:
            rows: `[tokens, 2]`, on the host; slot 0 is that of nobody.
        """
        if not len(rows):
            return
        first = (float(rows[0, 0]), float(rows[0, 1]))
        if bool((rows == rows[0]).all()):
            if self._uniform != first:
                self.staged[:, 0], self.staged[:, 1] = first
                self._uniform = first
            return
        values = torch.from_numpy(rows)
        if self.staged.is_cuda:
            values = values.pin_memory()
        self.staged[: len(rows), :_STAGED].copy_(values, non_blocking=True)
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
        """Hidden states of both halves and what rides beside, `[tokens, width]`."""
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
                rows = self._rows(out, positions)
            start = self._sizes["after"] if which == "before" else 0
            rows[:, start : start + self._sizes[which]] = out
        return _joined(handed_on) if rows is None else rows

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """Amplified logits `[rows, V]`, float32, of rows that `forward` returned.

        Rows that are drawn here leave their token alone to be taken. None on ranks that
        gather no logits.
        """
        ours, theirs = self._sizes["after"], self._sizes["before"]
        after = hidden_states[..., :ours]
        before = hidden_states[..., ours : ours + theirs]
        side = hidden_states[..., ours + theirs :]
        beside = side.contiguous().view(torch.float32)
        halves: tuple[Any, Any] = (self.after, self.before)
        after_logits = halves[0].compute_logits(after)
        before_logits = halves[1].compute_logits(before)
        if after_logits is None:
            return None
        if self.drawing.slots:
            return self.drawing(
                after_logits, before_logits, beside[..., : _POSITION + 1], self.combine
            )
        combined: Tensor = self.combine(after_logits, before_logits, beside[..., 0])
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

    def _rows(self, like: Tensor, positions: Tensor) -> Tensor:
        """Room for both halves' hidden states, and what rides beside them."""
        beside = self.staged[: like.shape[0]]
        # Three of each where rope has sections; those of text are equal.
        beside[:, _POSITION] = positions if positions.ndim == 1 else positions[0]
        side = beside.view(like.dtype)
        width = sum(self._sizes.values())
        rows = like.new_empty(like.shape[0], width + side.shape[1])
        rows[:, width:] = side
        return rows


def _end(config: Any) -> int:
    """An id that ends a completion."""
    ends = getattr(config.get_text_config(), "eos_token_id", None)
    found = ends[0] if isinstance(ends, list) else ends
    return int(found or 0)


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
