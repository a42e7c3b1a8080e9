"""The least time a step of a pair can take, and the text that fits beside it.

Bytes are read once at the memory's bandwidth, products run at the peak of the tensor
cores, GPUs exchange at the peak of their links, and nothing else takes time. So every
figure is a bound: an engine is slower, by a share that only a measurement tells.
"""

import dataclasses
import math
from functools import cached_property

FLOAT32 = 4
UTILISATION = 0.92
"""vLLM's default share of a GPU's memory (`gpu_memory_utilization`)."""
LOGITS_HELD = 6
"""Float32 copies of a step's logits at once: both halves', combined, the sampler's."""
LOGIT_PASSES = 10
"""Times that a step's logits are read or written: combining 3, log-probs 2, draw 5."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """A dense decoder with grouped heads and a gated MLP (llama, qwen2, mistral)."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocab: int
    tied: bool = False

    @cached_property
    def layer(self) -> int:
        """Weights of a layer's matrices."""
        mixed = (2 * self.heads + 2 * self.kv_heads) * self.head_dim
        return self.hidden * (mixed + 3 * self.inner)

    @property
    def parameters(self) -> int:
        """All weights, norms included."""
        tables = self.vocab * self.hidden * (1 if self.tied else 2)
        norms = (2 * self.layers + 1) * self.hidden
        return self.layers * self.layer + tables + norms

    def adapter(self, rank: int) -> int:
        """Weights of a LoRA on every matrix of every layer."""
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = 2 * (self.hidden + query) + 2 * (self.hidden + key)
        return self.layers * rank * (attention + 3 * (self.hidden + self.inner))


@dataclasses.dataclass(frozen=True)
class Device:
    """One GPU: bytes, bytes a second, products a second, bytes a second one way."""

    memory: float
    bandwidth: float
    flops: float
    link: float


@dataclasses.dataclass(frozen=True)
class Deployment:
    """A model, or a pair, on so many GPUs.

    Attributes:
        shape: Of each checkpoint.
        device: Of each GPU.
        tensor: GPUs that share each layer.
        stages: Of the pipeline; GPUs are `tensor * stages`.
        item: Bytes of a weight and of a cached number.
        halves: 2 for a pair, 1 for a model alone.
        rank: Of the adapter where both halves stand on one base; 0 for two models.
        budget: Tokens of a step at most (`max_num_batched_tokens`).
    """

    shape: Shape
    device: Device
    tensor: int = 1
    stages: int = 1
    item: int = 2
    halves: int = 2
    rank: int = 0
    budget: int = 8192

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.tensor * self.stages

    @property
    def weights(self) -> int:
        """Bytes of weights on all GPUs together."""
        models = 1 if self.rank else self.halves
        adapter = self.shape.adapter(self.rank) if self.rank else 0
        return self.item * (models * self.shape.parameters + adapter)

    @cached_property
    def token(self) -> int:
        """Bytes that a token of text takes in the caches of all GPUs together."""
        shape = self.shape
        copies = max(1, math.ceil(self.tensor / shape.kv_heads))
        numbers = 2 * shape.layers * shape.kv_heads * copies * shape.head_dim
        return self.halves * self.item * numbers

    def capacity(self, rows: int) -> int:
        """Tokens that the caches hold beside the weights and a step's own memory."""
        free = UTILISATION * self.device.memory * self.gpus - self.weights
        return int((free - self.gpus * self._workspace(rows)) // self.token)

    def _workspace(self, rows: int) -> float:
        """Bytes of a step on each GPU: logits, and what is alive in a layer."""
        logits = LOGITS_HELD * FLOAT32 * rows * self.shape.vocab
        wide = (3 + self.halves) * self.shape.hidden
        return logits + self.item * self.budget * (
            wide + 3 * self.shape.inner / self.tensor
        )

    def seconds(self, rows: float, context: float, prompt: float = 0) -> float:
        """Least time of a step.

        Args:
            rows: That draw a token.
            context: Tokens in the cache, of all rows together.
            prompt: Tokens that are prefilled in the same step.
        """
        shape = self.shape
        tokens = rows + prompt
        attended = 4 * shape.layers * shape.heads * shape.head_dim * context
        drawn = shape.vocab * shape.hidden
        products = 2 * (self._layers * tokens + self.halves * drawn * rows)
        compute = (products + self.halves * attended) / self.device.flops / self.gpus
        # A stage reads its part of the weights for every micro-batch, so the weights
        # are read no faster by more stages.
        weights = self.item * (self._layers + self.halves * drawn)
        cache = self.token * context / self.stages
        memory = (weights + cache) / self.device.bandwidth / self.tensor
        return max(compute, memory) + self._logits(rows) + self._exchange(rows, tokens)

    @cached_property
    def _layers(self) -> int:
        """Weights that a token is multiplied by, heads apart."""
        adapter = self.shape.adapter(self.rank) if self.rank else 0
        return self.halves * self.shape.layers * self.shape.layer + adapter

    def _logits(self, rows: float) -> float:
        """Seconds of combining and drawing, which one GPU does for all."""
        moved = LOGIT_PASSES * FLOAT32 * rows * self.shape.vocab
        return moved / self.device.bandwidth

    def _exchange(self, rows: float, tokens: float) -> float:
        """Seconds of two sums a layer over a ring, and of gathering logits."""
        others = (self.tensor - 1) / self.tensor
        state = self.item * tokens * self.shape.hidden
        sums = 2 * self.shape.layers * 2 * others * state / self.stages
        gathered = others * FLOAT32 * rows * self.shape.vocab
        return self.halves * (sums + gathered) / self.device.link

    def alone(self) -> "Deployment":
        """One of the two models, served on the same GPUs."""
        return dataclasses.replace(self, halves=1, rank=0)
