"""Keys of endpoints: each goes to its own server, and into no log, trace or error."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.solver import generate

from benchmarks.llama_server import serve
from tests.served.gguf_files import Pair
from tests.served.proxy import FaultProxy
from tests.served.servers import NO_PEER
from tests.served.servers import text_files as text_files

KEYS = {
    "LDA_API_KEY": "sk-after-71c09f",
    "LDA_BEFORE_API_KEY": "sk-before-5d2e88",
    "OPENAI_API_KEY": "sk-openai-3aa417",
    "TOGETHER_API_KEY": "sk-together-90be1d",
}
TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.solver import generate

@task
def one():
    return Task(dataset=[Sample(input="hi")], solver=generate())
"""


@pytest.fixture(scope="module")
def guarded(text_files: Pair) -> Iterator[tuple[FaultProxy, FaultProxy]]:
    """Two servers that want their keys; what reaches them is kept. `after` first."""
    pytest.importorskip("xllamacpp", reason=NO_PEER)
    after, before = text_files.after.gguf, text_files.before.gguf
    with (
        serve(after, "tiny-after", api_key=KEYS["LDA_API_KEY"]) as ours,
        serve(before, "tiny-before", api_key=KEYS["LDA_BEFORE_API_KEY"]) as theirs,
        FaultProxy(ours.root) as one,
        FaultProxy(theirs.root) as two,
    ):
        yield one, two


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every key is set, and everything that can write is told to write all."""
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    monkeypatch.setenv("INSPECT_TRACE_FILE", str(tmp_path / "trace.log"))
    return tmp_path


def model_args(pair: Pair, before: FaultProxy) -> dict[str, Any]:
    """What `-M` gives."""
    return {
        "engine": "api",
        "before": "tiny-before",
        "before_base_url": before.url,
        "tokenizer": str(pair.after.folder),
        "support": 20,
        "max_lost_mass": 1,
    }


def written(folder: Path) -> str:
    """Everything in every file of a folder."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert files
    return "".join(one.read_text(encoding="utf-8", errors="replace") for one in files)


def assert_no_key(text: str) -> None:
    """None of the keys, whole or the part that tells them apart."""
    for key in KEYS.values():
        assert key.rpartition("-")[2] not in text


def test_an_eval_writes_no_key(
    guarded: tuple[FaultProxy, FaultProxy], environment: Path, text_files: Pair
) -> None:
    after, before = guarded
    (environment / "one.py").write_text(TASK, encoding="utf-8")
    given = model_args(text_files, before).items()
    arguments = [part for key, value in given for part in ("-M", f"{key}={value}")]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "inspect_ai", "eval", "one.py"),
            *("--model", "lda/tiny-after", "--model-base-url", after.url, *arguments),
            *("--max-tokens", "4", "--log-dir", "logs", "--log-format", "json"),
            *("--log-level", "debug", "--log-level-transcript", "debug"),
            *("--log-model-api", "--display", "plain"),
        ],
        cwd=environment,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    logged = written(environment)
    assert "tiny-before" in logged
    assert '"status": "success"' in logged
    assert_no_key(logged + done.stdout + done.stderr)


def test_each_key_goes_to_its_own_server(
    guarded: tuple[FaultProxy, FaultProxy],
    environment: Path,
    text_files: Pair,
    caplog: pytest.LogCaptureFixture,
) -> None:
    after, before = guarded
    for proxy in guarded:
        proxy.asked.clear()
    with caplog.at_level("DEBUG"):
        [log] = eval(
            Task(dataset=[Sample(input="hi")], solver=generate()),
            model="lda/tiny-after",
            model_base_url=after.url,
            model_args=model_args(text_files, before),
            max_tokens=3,
            display="none",
            log_dir=str(environment / "logs"),
        )
    assert log.status == "success", log.error
    assert_no_key(log.model_dump_json() + caplog.text + written(environment))
    for proxy, name in zip(guarded, ("LDA_API_KEY", "LDA_BEFORE_API_KEY"), strict=True):
        heads = [one.head.decode() for one in proxy.asked]
        assert heads
        assert all(f"bearer {KEYS[name]}".lower() in one.lower() for one in heads)
        others = KEYS.keys() - {name}
        assert not any(KEYS[other] in one for other in others for one in heads)


def test_a_refused_key_is_not_quoted(
    guarded: tuple[FaultProxy, FaultProxy],
    environment: Path,
    text_files: Pair,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    after, before = guarded
    monkeypatch.setenv("LDA_BEFORE_API_KEY", "sk-wrong-3aa417")
    with caplog.at_level("DEBUG"):
        [log] = eval(
            Task(dataset=[Sample(input="hi")], solver=generate()),
            model="lda/tiny-after",
            # Another name, so that no open engine is used.
            model_base_url=after.root,
            model_args={**model_args(text_files, before), "before_top_k": 100},
            max_tokens=3,
            display="none",
            log_dir=str(environment / "logs"),
        )
    assert log.status == "error"
    assert log.error is not None
    assert "LDA_BEFORE_API_KEY" in log.error.message
    assert_no_key(log.model_dump_json() + caplog.text + written(environment))
