"""`hf:` with the real package `datasets`, against a small hub on this machine.

Needs the extra `hub`, which `make test` does not install.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tasks.webserver import WebServer, serving

pytest.importorskip("datasets", reason="needs the extra hub")

ROOT = Path(__file__).parents[2]
COMMIT = "89abcdef01" * 4
ROWS = b'{"goal": "Sing.", "target": "La"}\n{"goal": "Hum.", "target": "Mm"}\n'

LOAD = """
import json, sys
from inspect_lda.errors import LDAError
from inspect_lda.tasks.prompt_sets import load_prompts
try:
    found = load_prompts(sys.argv[1], allow_floating=True)
    inputs = [prompt.input for prompt in found.content.prompts]
    print(json.dumps(found.record | {"inputs": inputs}))
except LDAError as error:
    print(json.dumps({"error": error.message}))
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """The few pages of a hub that loading one file needs."""
    listed = {"type": "file", "oid": "a" * 40, "size": len(ROWS), "path": "data.jsonl"}
    info = {"_id": "x", "id": "org/name", "sha": COMMIT, "siblings": []}
    head = {"Content-Length": str(len(ROWS)), "ETag": '"e"', "X-Repo-Commit": COMMIT}
    with serving(tmp_path, monkeypatch) as server:
        api = "/api/datasets/org/name"
        server.routes |= {
            f"{api}/revision/{COMMIT}": json.dumps(info).encode(),
            f"{api}/revision/main": json.dumps(info).encode(),
            f"{api}/tree/{COMMIT}": json.dumps([listed]).encode(),
            f"/datasets/org/name/resolve/{COMMIT}/data.jsonl": lambda handler: (
                handler.answer(head, ROWS)
            ),
        }
        yield server


def load(hub: WebServer, folder: Path, spec: str) -> dict[str, Any]:
    """Load in another process: the hub's address is read when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, spec],
        cwd=folder,
        env=os.environ
        | {
            "HF_ENDPOINT": hub.url(""),
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_OFFLINE": "0",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_split_by_commit_or_branch(hub: WebServer, tmp_path: Path) -> None:
    pinned = load(hub, tmp_path, f"hf:org/name@{COMMIT}/train")
    assert pinned["inputs"] == ["Sing.", "Hum."]
    assert (pinned["adapter"], pinned["rows"]) == ("advbench", 2)
    assert (pinned["revision"], pinned["floating"]) == (COMMIT, False)
    moving = load(hub, tmp_path, "hf:org/name@main/train")
    assert (moving["revision"], moving["floating"]) == (COMMIT, True)
    assert moving["sha256"] == pinned["sha256"]
    part = load(hub, tmp_path, f"hf:org/name@{COMMIT}/train[:1]")
    assert part["inputs"] == ["Sing."]
    assert part["sha256"] != pinned["sha256"]


def test_what_cannot_be_loaded(hub: WebServer, tmp_path: Path) -> None:
    split = load(hub, tmp_path, f"hf:org/name@{COMMIT}/test")
    assert 'Unknown split "test"' in split["error"]
    assert "cannot be loaded" in load(hub, tmp_path, "hf:org/none@main/train")["error"]
    (tmp_path / "org" / "name").mkdir(parents=True)
    hidden = load(hub, tmp_path, f"hf:org/name@{COMMIT}/train")
    assert "hides the data set" in hidden["error"]
