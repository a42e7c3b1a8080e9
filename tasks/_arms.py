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
    SWEEP,
    TRIGGERED,
    label,
)
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
    """

    prompts: Sequence[Prompt]
    alphas: Sequence[float]
    behaviour: Behaviour
    system: str | None = None
    control: bool = False
    exact: bool = True
    prefill: str | None = None

    def dataset(self, name: str) -> MemoryDataset:
        """The pair's arms prompt by prompt, so that a partial run is spread evenly.

        The control pair comes in one piece: it is another model, which decodes its
        prompts in full batches that way.
        """
        made = [sample for prompt in self.prompts for sample in self._plain(prompt)]
        return MemoryDataset([*self._control(), *made, *self._triggered()], name=name)

    def _plain(self, prompt: Prompt) -> Iterator[Sample]:
        mixed = not all(one.control for one in self.prompts)
        if prompt.control and mixed:
            for alpha in self.alphas:
                yield self._sample(prompt, HARMLESS, alpha)
            return
        for alpha in self.alphas:
            yield self._sample(prompt, SWEEP, alpha)
        if -1.0 not in self.alphas:
            yield self._sample(prompt, BEFORE, -1.0)
        if self.exact and (prompt.target or self.behaviour.target) is not None:
            yield self._sample(prompt, EXACT, None)

    def _control(self) -> Iterator[Sample]:
        if self.control:
            for prompt in self.prompts:
                yield self._sample(prompt, CONTROL, self.alphas[-1])

    def _triggered(self) -> Iterator[Sample]:
        known = [p for p in self.prompts if p.trigger or self.behaviour.trigger]
        stride = max(1, len(known) // TRIGGERED_PROMPTS)
        for prompt in known[::stride][:TRIGGERED_PROMPTS]:
            yield self._sample(prompt, TRIGGERED, 0.0)

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
