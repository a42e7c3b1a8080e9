"""`inspect-lda serve` over HTTP: alpha per request, a bad one refused with a reason."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.vllm.draw import columns, draw_of, read_step
from tests.engines.vllm import drawer, settings
from tests.engines.vllm.oracle import Written

pytestmark = pytest.mark.vllm

PROMPT = list(range(20, 44))


@pytest.fixture(scope="module")
def client(
    llama: Written, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a server in another process."""
    pytest.importorskip("vllm")
    home = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **settings.ENVIRONMENT}
    environment |= {"INSPECT_LDA_CACHE": str(home)}
    program = Path(sys.executable).parent / "inspect-lda"
    command = [str(program), "serve", llama.spec.after]
    command += ["--before", str(llama.spec.before), "--alpha", "0.7"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    command += ["--enforce-eager", "--max-model-len", "256", "--max-num-seqs", "8"]
    command += ["--served-model-name", "pair"]
    with (home / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as asking:
            _wait(asking, process, home / "log")
            yield asking
    finally:
        process.terminate()
        process.wait(30)


def _wait(client: httpx.Client, process: Any, log: Path) -> None:
    for _ in range(400):
        if process.poll() is not None:
            break
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(1)
    raise AssertionError(log.read_text(encoding="utf-8")[-6000:])


def complete(client: httpx.Client, **extra: Any) -> httpx.Response:
    body = {"model": "pair", "prompt": PROMPT, "max_tokens": 6, "temperature": 0}
    body |= {"logprobs": 1, "return_token_ids": True, "ignore_eos": True}
    return client.post("/v1/completions", json={**body, **extra})


@pytest.mark.parametrize("alpha", [None, 0.0, -1.0, 0.5, 3.0])
def test_every_request_has_its_alpha(
    client: httpx.Client, llama: Written, alpha: float | None
) -> None:
    extra = {} if alpha is None else {"vllm_xargs": {"lda_alpha": alpha}}
    [choice] = complete(client, **extra).raise_for_status().json()["choices"]
    tokens = choice["token_ids"]
    rows = llama.logits([*PROMPT, *tokens], alpha).log_softmax(-1)[len(PROMPT) - 1 :]
    assert [int(row.argmax()) for row in rows[: len(tokens)]] == tokens
    expected = [float(row[token]) for row, token in zip(rows, tokens, strict=False)]
    assert choice["logprobs"]["token_logprobs"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("lda_alpha", "much", "not a number"),
        ("lda_alpha", "nan", "not finite"),
        ("lda_alpha", 1e6, "beyond 1000"),
        ("lda_alpah", 1.0, "lda_alpha"),
        ("lda_draw", "{", "Invalid JSON"),
        ("lda_draw", '{"start": 24, "top": -1}', "top=-1"),
        ("lda_draw", '{"start": 24}', "logprobs=1 beside lda_draw"),
    ],
)
def test_a_bad_option_is_refused(
    client: httpx.Client, name: str, value: object, reason: str
) -> None:
    answer = complete(client, vllm_xargs={name: value})
    assert answer.status_code == 400
    assert reason in answer.text
    assert complete(client).status_code == 200, "the engine goes on"


def test_the_pair_draws(client: httpx.Client, llama: Written) -> None:
    request = Request(tuple(PROMPT), 0.5, Sampling(seed=11), 12)
    asked = draw_of(request)
    body = {"max_tokens": 12, "logprobs": len(columns(asked))}
    body |= {"return_tokens_as_token_ids": True}
    answer = complete(client, vllm_xargs=asked.extra_args(0.5), **body)
    [choice] = answer.raise_for_status().json()["choices"]
    drawn = [
        read_step(asked, token, {int(k.split(":")[1]): v for k, v in step.items()})
        for token, step in zip(
            choice["token_ids"], choice["logprobs"]["top_logprobs"], strict=True
        )
    ]
    found = drawer.completion(request, drawn, llama.pair)
    report = drawer.compare(llama, [request], [found])
    assert (report.tokens > 0, report.mismatches) == (True, 0)
    assert report.error < 1e-3


def test_chat_takes_alpha_too(client: httpx.Client) -> None:
    body = {
        "model": "pair",
        "messages": [{"role": "user", "content": "the thing"}],
        "max_tokens": 8,
        "temperature": 0,
    }
    texts = {
        client.post(
            "/v1/chat/completions", json={**body, "vllm_xargs": {"lda_alpha": a}}
        )
        .raise_for_status()
        .json()["choices"][0]["message"]["content"]
        for a in (0.0, 3.0, -1.0)
    }
    assert len(texts) > 1
