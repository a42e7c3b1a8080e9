"""The vLLM dialect on a real vLLM, where one is installed.

`INSPECT_LDA_VLLM` names the program, which lives in an environment of its own:
`INSPECT_LDA_VLLM=…/bin/vllm pytest -m slow tests/engines/api/test_wire_vllm.py`
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
from transformers import PreTrainedModel

from inspect_lda.engines.api.dialect import Ids
from tests.engines.api.asking import asked
from tests.served.vocabularies import served_tokenizer
from tests.tiny import save_checkpoint, tiny_model

pytestmark = pytest.mark.slow
PROGRAM = shutil.which(os.environ.get("INSPECT_LDA_VLLM", "vllm"))
VOCABULARY = 320
NATS = 5e-5
PREFIXES: list[Ids] = [(2, 40, 41), (2, 50), (60, 61, 62, 63, 64), (7,)]
# On a CPU: compiled kernels take minutes, and memory is the tests'.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    """The least model whose heads vLLM's kernels take on a CPU."""
    sizes = {"hidden_size": 128, "intermediate_size": 128, "head_dim": 32}
    return tiny_model("llama", 3, vocab_size=VOCABULARY, **sizes)


@pytest.fixture(
    scope="module", params=["raw_logprobs", "processed_logprobs"], ids=str.upper
)
def url(
    request: pytest.FixtureRequest,
    model: PreTrainedModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """A running server."""
    if PROGRAM is None:
        pytest.skip("vLLM is not installed: set INSPECT_LDA_VLLM to its program")
    folder = tmp_path_factory.mktemp("vllm")
    save_checkpoint(folder, model, served_tokenizer("text", VOCABULARY))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PROGRAM, "serve", str(folder), "--served-model-name", "tiny"]
    command += ["--port", str(port), "--dtype", "float32", "--enforce-eager"]
    command += ["--max-model-len", "256", "--max-logprobs", "-1"]
    command += ["--logprobs-mode", request.param]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=os.environ | ENVIRONMENT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield _ready(f"http://127.0.0.1:{port}/v1", process, folder / "log")
    finally:
        # Its workers are processes of their own, and outlive it if it is killed.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def _ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> str:
    for _ in range(1200):
        if process.poll() is not None:
            break
        try:
            httpx.get(f"{url}/models").raise_for_status()
            return url
        except httpx.HTTPError:
            time.sleep(0.5)
    raise RuntimeError(log.read_text(encoding="utf-8")[-2000:])


def logprobs(model: PreTrainedModel, prefix: Ids) -> torch.Tensor:
    """By transformers, float64."""
    with torch.inference_mode():
        logits = model(torch.tensor([prefix])).logits[0, -1]
    result: torch.Tensor = logits.double().log_softmax(-1)
    return result


def error(model: PreTrainedModel, prefix: Ids, found: dict[int, float]) -> float:
    """Largest difference to transformers, nats."""
    exact = logprobs(model, prefix)
    return max(abs(value - exact[token].item()) for token, value in found.items())


async def test_every_question_is_answered_as_transformers_does(
    url: str, model: PreTrainedModel
) -> None:
    async with asked(url, "tiny") as wire:
        able = wire.able
        assert (able.dialect, able.max_top, able.vocabulary) == ("vllm", None, 320)
        assert able.scores_ids == 128
        assert able.many_prompts
        assert able.prompt_logprobs
        wanted = [tuple(range(200))] * len(PREFIXES)
        answers = [
            *zip(PREFIXES, await wire.top(PREFIXES, 20), strict=True),
            *zip(PREFIXES, await wire.top(PREFIXES, None), strict=True),
            *zip(PREFIXES, await wire.at(PREFIXES, wanted, 20), strict=True),
        ]
    for prefix, listing in answers:
        assert error(model, prefix, listing.logprobs) < NATS


async def test_drafts_repeat_and_list_every_token(
    url: str, model: PreTrainedModel
) -> None:
    prefix, ended = (7,), set()  # where the model may well end at once
    async with asked(url, "tiny") as wire:
        for seed in range(24):
            drawn = {"k": 20, "temperature": 0.7, "seed": seed}
            one = await wire.draft(prefix, 4, **drawn)  # type: ignore[arg-type]
            two = await wire.draft(prefix, 4, **drawn)  # type: ignore[arg-type]
            assert one.tokens == two.tokens
            ended.add(one.ended)
            assert one.ended == (one.tokens[-1] == 1)
            steps = enumerate(zip(one.tokens, one.listings, strict=True))
            for i, (token, listing) in steps:
                assert token in listing.logprobs
                assert error(model, prefix + one.tokens[:i], listing.logprobs) < NATS
    assert ended == {True, False}
