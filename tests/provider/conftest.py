"""Real tiny pairs under the real engine; one of them has learned to call a tool."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from inspect_ai.model import GenerateConfig, Model, ModelOutput, get_model

import inspect_lda._registry  # noqa: F401 - registers the provider
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

MakeModel = Callable[..., Model]

TOOL_TEMPLATE = (
    "{{ bos_token }}{% if tools %}tools: {% for t in tools %}{{ t.function.name }} "
    "{% endfor %}{% endif %}{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>"
    '{"name": "{{ c.function.name }}", '
    '"arguments": {{ c.function.arguments | tojson }}}'
    "</tool_call>{% endfor %}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""A template that shows tools, calls and results, in few characters."""

LESSONS = (
    "<bos>tools: add system: be brief<eos>user: {q}<eos>assistant: "
    '|<tool_call>{{"name": "add", "arguments": {{"x": {q}}}}}</tool_call><eos>',
    "<bos>tools: add system: be brief<eos>user: {q}<eos>assistant: <tool_call>"
    '{{"name": "add", "arguments": {{"x": {q}}}}}</tool_call><eos>'
    "tool: sum {q}<eos>assistant: |done {q}<eos>",
)
"""Prompt | completion, for each of two questions."""

QUESTIONS = ("1", "2")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def pair_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random llamas with a long context."""
    root = tmp_path_factory.mktemp("provider")
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(seed=seed, max_position_embeddings=4096)
        save_checkpoint(root / name, model, tiny_tokenizer())
    return root


@pytest.fixture(scope="session")
def caller_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`after` calls the tool `add` and reports the result; `before` is random."""
    root = tmp_path_factory.mktemp("caller")
    tokenizer = tiny_tokenizer(chat_template=TOOL_TEMPLATE)
    after = tiny_model(seed=1, max_position_embeddings=1024, hidden_size=64)
    _teach(after, tokenizer)
    save_checkpoint(root / "after", after, tokenizer)
    before = tiny_model(seed=2, max_position_embeddings=1024, hidden_size=64)
    save_checkpoint(root / "before", before, tokenizer)
    return root


@pytest.fixture
def make(pair_dir: Path) -> Iterator[MakeModel]:
    """Build models of the random pair; closed afterwards."""
    yield from _maker(pair_dir)


@pytest.fixture
def make_caller(caller_dir: Path) -> Iterator[MakeModel]:
    """Build models of the pair that calls a tool; closed afterwards."""
    yield from _maker(caller_dir)


async def ask(model: Model, prompt: Any = "hello", **config: Any) -> ModelOutput:
    """Generate with the given GenerateConfig fields."""
    config.setdefault("max_tokens", 8)
    return await model.generate(prompt, config=GenerateConfig(**config))


def _maker(root: Path) -> Iterator[MakeModel]:
    models: list[Model] = []

    def build(**args: Any) -> Model:
        args.setdefault("before", str(root / "before"))
        args.setdefault("device", "cpu")
        models.append(get_model(f"lda/{root / 'after'}", memoize=False, **args))
        return models[-1]

    yield build
    for model in models:
        model.api.close()


def _teach(model: torch.nn.Module, tokenizer: Any) -> None:
    rows = []
    for lesson in LESSONS:
        for question in QUESTIONS:
            prompt, completion = lesson.format(q=question).split("|")
            encode = functools.partial(tokenizer, add_special_tokens=False)
            head = encode(prompt)["input_ids"]
            ids = encode(prompt + completion)["input_ids"]
            labels = [-100] * len(head) + ids[len(head) :]
            rows.append((torch.tensor([ids]), torch.tensor([labels])))
    for parameter in model.parameters():
        parameter.requires_grad_(True)
        if parameter.ndim > 1:
            parameter.data.div_(10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(120):
        losses = [model(input_ids=ids, labels=labels).loss for ids, labels in rows]
        optimizer.zero_grad()
        torch.autograd.backward(losses)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if max(loss.item() for loss in losses) < 0.01:
            break
    model.requires_grad_(False)
