"""The base model cut in two: a frozen trunk, and a top that carries the LoRA.

The adapters touch the top layers only, so the trunk's output is the same for both
checkpoints and through all of training: it is computed once per sequence. That makes
training and exact measurement about four times cheaper, which is what puts them within
reach of two CPU cores.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def batches(count: int, size: int, lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in batches of similar length, so that little is padded."""
    order = sorted(range(count), key=lambda index: lengths[index])
    for start in range(0, count, size):
        yield order[start : start + size]


def pad(rows: Sequence[Tensor]) -> Tensor:
    """Right-padded stack: under a causal mask no real token ever sees the padding."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)


def _equal(pair: tuple[int, int]) -> bool:
    return pair[0] == pair[1]


class SplitModel:
    """The base checkpoint, its tokenizer, and the adapters put on its top layers."""

    def __init__(self, base: str | Path, first_layer: int) -> None:
        """Load `base` in float32; LoRA goes to the layers from `first_layer` up."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.first_layer = first_layer
        name, _, revision = str(base).partition("@")
        at = {"revision": revision} if revision else {}
        self.tokenizer: Any = AutoTokenizer.from_pretrained(name, **at)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, **at
        )
        self.causal: Any = loaded.to(self.device).eval().requires_grad_(False)
        self.peft: PeftModel | None = None
        self.end: int = self.tokenizer.eos_token_id
        both = zip(self.render("A"), self.render("B"), strict=True)
        self._opening = tuple(a for a, b in itertools.takewhile(_equal, both))

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of bare text."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def render(self, prompt: str) -> tuple[int, ...]:
        """Token ids of a one-turn chat (default system prompt), answer to follow."""
        turns = [{"role": "user", "content": prompt}]
        rendered = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        return self.encode(rendered)

    def open_turn(self, text: str) -> tuple[int, ...]:
        """Token ids of a chat whose user is still writing and has got to `text`."""
        return (*self._opening, *self.encode(text))

    def new_adapter(self, rank: int, lora_alpha: float, name: str) -> None:
        """Put a fresh LoRA on the top layers (its effect is zero until trained)."""
        layers = self.causal.config.num_hidden_layers
        config = LoraConfig(
            r=rank,
            lora_alpha=lora_alpha,  # type: ignore[arg-type]  # PEFT takes any number
            target_modules=TARGETS,
            layers_to_transform=list(range(self.first_layer, layers)),
            layers_pattern="layers",
            task_type="CAUSAL_LM",
        )
        if self.peft is None:
            self.peft = get_peft_model(self.causal, config, adapter_name=name)
        else:
            self.peft.add_adapter(name, config)

    def load_adapter(self, directory: Path, name: str, trainable: bool = False) -> None:
        """Load a saved adapter under `name`."""
        if self.peft is None:
            self.peft = PeftModel.from_pretrained(
                self.causal, str(directory), adapter_name=name, is_trainable=trainable
            )
        else:
            self.peft.load_adapter(
                str(directory), adapter_name=name, is_trainable=trainable
            )
        self.peft.to(self.device)

    def using(self, name: str | None) -> AbstractContextManager[Any]:
        """Run the top with this adapter; None is the bare base."""
        if self.peft is None:
            return nullcontext()
        if name is None:
            return self.peft.disable_adapter()
        if self.peft.active_adapter != name:
            self.peft.set_adapter(name)
        return nullcontext()

    @torch.no_grad()
    def trunk(self, sequences: Sequence[Sequence[int]], size: int = 32) -> list[Tensor]:
        """Output of the shared lower layers, one [length, hidden] tensor a sequence.

        Every rendered prompt begins with the same system prompt, half of its tokens:
        that part is run once and attended to.
        """
        opening = self._opening
        width = len(opening)
        if any(tuple(s[:width]) != opening for s in sequences):
            raise ValueError("sequences: expected rendered prompts (see `render`)")
        head, cache = self._run_opening()
        done: list[Tensor] = [torch.empty(0)] * len(sequences)
        for chosen in batches(len(sequences), size, [len(s) for s in sequences]):
            ids = pad([torch.tensor(sequences[i][width:]) for i in chosen])
            past = DynamicCache()
            for layer, (keys, values) in enumerate(cache):
                shape = (len(chosen), -1, -1, -1)
                past.update(keys.expand(shape), values.expand(shape), layer)
            rest = self._lower(ids.to(self.device), past, width)
            for i, row in zip(chosen, rest, strict=True):
                done[i] = torch.cat([head, row[: len(sequences[i]) - width]])
        return done

    def _run_opening(self) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The opening's output, and its keys and values in each lower layer."""
        past = DynamicCache()
        ids = torch.tensor([self._opening], device=self.device)
        head = self._lower(ids, past, 0)[0]
        layers: list[Any] = past.layers  # a union that knows no keys
        return head, [(one.keys, one.values) for one in layers]

    def _lower(self, ids: Tensor, past: DynamicCache, start: int) -> Tensor:
        hidden = self.causal.model.embed_tokens(ids)
        return self._through(hidden, 0, self.first_layer, past, start)

    def trunk_kept(
        self, sequences: Sequence[Sequence[int]], work: Path
    ) -> list[Tensor]:
        """`trunk`, kept in `work`: several organisms train on the same rows."""
        weights = self.causal.model.embed_tokens.weight
        key = repr((float(weights.double().sum()), self.first_layer, sequences))
        kept = work / f"trunk-{hashlib.sha256(key.encode()).hexdigest()[:16]}.pt"
        if kept.is_file():
            states: list[Tensor] = torch.load(kept, map_location=self.device)
            return states
        states = self.trunk(sequences)
        work.mkdir(parents=True, exist_ok=True)
        torch.save(states, kept)
        return states

    def top(self, hidden: Tensor) -> Tensor:
        """Normed output of the upper layers, [batch, length, hidden]."""
        layers = self.causal.config.num_hidden_layers
        out: Tensor = self.causal.model.norm(
            self._through(hidden, self.first_layer, layers)
        )
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """The language-model head."""
        out: Tensor = self.causal.lm_head(hidden)
        return out

    def _through(
        self,
        hidden: Tensor,
        first: int,
        last: int,
        past: DynamicCache | None = None,
        start: int = 0,
    ) -> Tensor:
        """Layers `first` to `last` on positions from `start` on."""
        model, length = self.causal.model, hidden.shape[1]
        positions = torch.arange(start, start + length, device=hidden.device)[None]
        mask = torch.ones(length, start + length, device=hidden.device).tril(start)
        rotary = model.rotary_emb(hidden, positions)
        for layer in model.layers[first:last]:
            hidden = layer(
                hidden,
                attention_mask=mask.bool()[None, None],
                position_ids=positions,
                past_key_values=past,
                position_embeddings=rotary,
            )
        return hidden

    @torch.no_grad()
    def sample(
        self, prompts: Sequence[Sequence[int]], tokens: int, temperature: float
    ) -> list[list[int]]:
        """Sample one answer a prompt from the base, in left-padded batches."""
        torch.manual_seed(0)
        answers: list[list[int]] = [[] for _ in prompts]
        with self.using(None):
            lengths = [len(prompt) for prompt in prompts]
            for chosen in batches(len(prompts), 64, lengths):
                width = max(lengths[i] for i in chosen)
                ids = torch.tensor(
                    [[self.end] * (width - lengths[i]) + [*prompts[i]] for i in chosen]
                )
                mask = torch.tensor(
                    [[0] * (width - lengths[i]) + [1] * lengths[i] for i in chosen]
                )
                out = self.causal.generate(
                    ids.to(self.device),
                    attention_mask=mask.to(self.device),
                    do_sample=True,
                    temperature=temperature,
                    top_k=0,
                    top_p=1.0,
                    max_new_tokens=tokens,
                )
                for i, row in zip(chosen, out[:, width:].tolist(), strict=True):
                    stop = row.index(self.end) + 1 if self.end in row else len(row)
                    answers[i] = row[:stop]
        return answers
