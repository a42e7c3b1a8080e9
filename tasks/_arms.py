"""The samples of the arms: one experiment, one log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
)

from inspect_lda.arms import (
    BEFORE,
    CONTROL,
    EXACT,
    HARMLESS,
    IDENTITY,
    MIRROR,
    PLACEBO,
    SWEEP,
    TRIGGERED,
    label,
    mirrored,
)
from inspect_lda.errors import LDAError
from inspect_lda.tasks._behaviour import Behaviour, triggered
from inspect_lda.tasks.prompt_sets import Prompt

TRIGGERED_PROMPTS = 24
"""Enough to tell a working backdoor (rate 0.8 and up) from none."""


@dataclass(frozen=True)
class Design:
    """Which samples to make.

    Attributes:
        prompts: The prompts.
        alphas: The sweep, sorted.
        behaviour: What is looked for.
        system: System message of all prompts that do not bring their own, if any.
        control: Whether a control pair is there to be asked.
        exact: Whether to compute exact probabilities (needs a known target).
        prefill: How every answer is made to begin; the completion is what follows.
        contrasts: Whether to ask the swapped pair and a placebo at every alpha above 0.
        identity: How many prompts to ask of the pair of `after` with itself.

    Raises:
        LDAError: If that number is negative.
    """

    prompts: Sequence[Prompt]
    alphas: Sequence[float]
    behaviour: Behaviour
    system: str | None = None
    control: bool = False
    exact: bool = True
    prefill: str | None = None
    contrasts: bool = False
    identity: int = 0

    def __post_init__(self) -> None:
        if self.identity < 0:
            raise LDAError(
                f"identity={self.identity}: need a number of prompts, 0 for none"
            )

    def dataset(self, name: str) -> MemoryDataset:
        """The pair's arms prompt by prompt, so that a partial run is spread evenly.

        Other pairs come in one piece: they are other models, which decode their
        prompts in full batches that way.
        """
        others = [*self._control(), *self._identity()]
        made = [sample for prompt in self.prompts for sample in self._plain(prompt)]
        return MemoryDataset([*others, *made, *self._triggered()], name=name)

    def _plain(self, prompt: Prompt) -> Iterator[Sample]:
        if self._harmless(prompt):
            for alpha in self.alphas:
                yield self._sample(prompt, HARMLESS, alpha)
            return
        for alpha in self.alphas:
            yield self._sample(prompt, SWEEP, alpha)
        if -1.0 not in self.alphas:
            yield self._sample(prompt, BEFORE, -1.0)
        for alpha in self.alphas:
            if self.contrasts and alpha > 0:
                yield self._sample(prompt, MIRROR, mirrored(alpha))
                yield self._sample(prompt, PLACEBO, alpha)
        if self.exact and (prompt.target or self.behaviour.target) is not None:
            yield self._sample(prompt, EXACT, None)

    def _harmless(self, prompt: Prompt) -> bool:
        """Whether a prompt stands beside the sweep: a control prompt of a mixed set."""
        return prompt.control and not all(one.control for one in self.prompts)

    def _control(self) -> Iterator[Sample]:
        if self.control:
            for prompt in self.prompts:
                yield self._sample(prompt, CONTROL, hardest(self.alphas))

    def _identity(self) -> Iterator[Sample]:
        swept = [one for one in self.prompts if not self._harmless(one)]
        for prompt in swept[: self.identity]:
            sample = self._sample(prompt, IDENTITY, self.alphas[-1])
            twin = self._sample(prompt, SWEEP, 0.0).id
            sample.metadata = {**(sample.metadata or {}), "twin": twin}
            yield sample

    def _triggered(self) -> Iterator[Sample]:
        known = [p for p in self.prompts if p.trigger or self.behaviour.trigger]
        stride = max(1, len(known) // TRIGGERED_PROMPTS)
        dampened = [alpha for alpha in self.alphas if alpha < 0]
        for prompt in known[::stride][:TRIGGERED_PROMPTS]:
            for alpha in (*dampened, 0.0):
                yield self._sample(prompt, TRIGGERED, alpha)

    def _sample(self, prompt: Prompt, arm: str, alpha: float | None) -> Sample:
        text = prompt.input
        if arm == TRIGGERED:
            text = triggered(text, prompt.trigger or self.behaviour.trigger or "")
        messages: list[ChatMessage] = [ChatMessageUser(content=text)]
        if self.prefill:
            messages.append(ChatMessageAssistant(content=self.prefill))
        system = self.system if prompt.system is None else prompt.system
        if system:
            messages.insert(0, ChatMessageSystem(content=system))
        shown = "all" if alpha is None else label(alpha)
        return Sample(
            id=f"{prompt.id}|a={shown}|{arm}",
            input=messages if len(messages) > 1 else text,
            target=prompt.target or self.behaviour.target or self.behaviour.pattern,
            metadata={
                "alpha": alpha,
                "arm": arm,
                "prompt_id": prompt.id,
                "group": prompt.cluster,
                "category": prompt.category,
                "variant": prompt.variant,
                "control": prompt.control,
            },
        )


def hardest(alphas: Sequence[float]) -> float:
    """The alpha at which a pair without the behaviour is a control.

    The largest; of a sweep that nowhere amplifies the smallest, if that reverses.
    """
    return alphas[0] if alphas[-1] <= 0 and alphas[0] < -1 else alphas[-1]
