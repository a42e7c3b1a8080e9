"""An engine in a process of its own, held against the oracle.

    python -m tests.engines.vllm.driver ROOT '{"options": {…}, "asks": 8, "tokens": 8}'

`"draws": 8` asks as many requests whose tokens the pair draws, and as many scores.

For what cannot share a process with other tests: another model runner, workers. Prints
a report as JSON. Workers import this module again, so what they need is at its top.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.engines.vllm import settings

RUNNER = "TEST_VLLM_RUNNER"
MARK = "REPORT "

if find_spec("vllm") is not None:
    # Not elsewhere: tests of compiled steps would inherit it.
    settings.apply()
if os.environ.get(RUNNER) == "v2":
    from tests.engines.vllm import runner_v2  # noqa: F401


def drive(root: Path, runner: str, **job: Any) -> dict[str, float]:
    """Run a job on the pair under `root` and return its report."""
    environment = {**os.environ, **settings.ENVIRONMENT, RUNNER: runner}
    command = [sys.executable, "-m", "tests.engines.vllm.driver"]
    done = subprocess.run(
        [*command, str(root), json.dumps(job)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    if done.returncode:
        said = f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
        raise AssertionError(f"exit code {done.returncode}\n{said}")
    # vLLM's workers also write to stdout, when they end as well.
    [line] = [one for one in done.stdout.splitlines() if one.startswith(MARK)]
    report: dict[str, float] = json.loads(line.removeprefix(MARK))
    return report


def drawn(llm: Any, written: Any, count: int) -> dict[str, float]:
    """Hold drawn and scored tokens against the transformers engine."""
    from tests.engines.vllm import drawer, forcer

    asked = drawer.requests(count, seed=23)
    answers = zip(asked, drawer.draw(llm, asked), strict=True)
    found = [drawer.completion(one, said, written.pair) for one, said in answers]
    report = drawer.compare(written, asked, found)
    told = {f"drawn_{name}": value for name, value in report.json().items()}
    given = forcer.requests(count, seed=24)
    right = forcer.expected(written.spec, given)
    told["score_error"] = forcer.error(forcer.score(llm, given), right)
    told["follow_error"] = forcer.error(forcer.follow(llm, given), right)
    return told


def main() -> None:
    """Do the job named on the command line."""
    from vllm import LLM

    from inspect_lda.pair import PairSpec
    from tests.engines.vllm.oracle import Written, answers, asks, compare

    root, job = Path(sys.argv[1]), json.loads(sys.argv[2])
    paths = (str(root / "after"), str(root / "before"))
    spec = PairSpec(*paths, dtype="float32", device="cpu", attn_implementation="eager")
    written = Written(root / "pair", spec, 0.7)
    asked = asks(job["asks"], seed=21)
    llm = LLM(str(written.directory), **{**settings.ENGINE, **job["options"]})
    report = compare(written, asked, answers(llm, asked, job["tokens"]))
    more: dict[str, float] = {}
    if draws := job.get("draws", 0):
        more = drawn(llm, written, draws)
    v2 = llm.llm_engine.vllm_config.use_v2_model_runner
    print(f"\n{MARK}{json.dumps({**report.json(), **more, 'v2': v2})}", flush=True)


if __name__ == "__main__":
    main()
