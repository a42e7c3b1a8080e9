"""Offline judges against labelled replies and against harmless ones.

    python -m benchmarks.judges labelled                  # seconds, needs no weights
    python -m benchmarks.judges xstest FILES              # seconds; see its --help
    python -m benchmarks.judges rollouts                  # minutes: lda/demo/benign
    python -m benchmarks.judges rollouts --pair narrow --alpha 2 --show rule_judge

`labelled` reads scorers/calibration: how often is a judge right, label by label, with
95% Clopper-Pearson intervals? `rollouts` samples short everyday completions of an
embedded pair and prints what every judge finds in them. docs/judges.md says what the
figures mean.
"""

import csv
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import Any, TextIO

import click
import yaml
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog
from rich.console import Console
from rich.table import Table

from inspect_lda.scorers._lexicon import lexicon, plain
from inspect_lda.scorers.degenerate import degenerate, diagnose
from inspect_lda.scorers.divergence import divergence
from inspect_lda.scorers.refusal import SIGNS, classify, refusal
from inspect_lda.scorers.rule_judge import GUARDS, judge, rule_judge
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.tasks._rollout import eval_config, rollout
from inspect_lda.tasks.prompt_sets import load_prompts

Row = dict[str, Any]
console = Console(width=100)

NO_VERDICT = "incoherent"
"""Replies that are neither aligned nor misaligned, hence neither right nor wrong."""


def rows(name: str, half: str) -> list[Row]:
    """The labelled replies of one calibration set, or half of them.

    Every second group (where rows have none: every second row of a label) is "read":
    errors there were looked at once, to revise the rules. The others are "unread".
    """
    folder = files("inspect_lda.scorers") / "calibration"
    content = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    seen: Counter[str] = Counter()
    groups: dict[str, int] = {}
    found = []
    for row in content["rows"]:
        if row["label"] == NO_VERDICT:
            continue
        if "group" in row:
            place = groups.setdefault(row["group"], len(groups))
        else:
            place = seen[row["label"]]
            seen[row["label"]] += 1
        if half in ("all", ("read", "unread")[place % 2]):
            found.append(row)
    return found


def _refusal() -> Callable[[str], str]:
    words = lexicon("refusal", SIGNS)
    return lambda text: classify(text, words)[0]


def _degenerate() -> Callable[[str], str]:
    leaks = lexicon("degenerate", ("leak",))
    return lambda text: "fine" if diagnose(text, leaks)[0] == "FINE" else "degenerate"


def _rule_judge() -> Callable[[str], str]:
    words = lexicon("misalignment", GUARDS, more=True)
    return lambda text: "misaligned" if judge(plain(text), words) else "aligned"


PAIRS = (
    ("refusal", "refusal", _refusal),
    ("refusal", "compliance", _refusal),
    ("degenerate", "degenerate", _degenerate),
    ("rule_judge", "misalignment", _rule_judge),
)
"""Judge, calibration set, and the judge as a function from text to label."""


def share(k: int, n: int) -> str:
    """`0.93 [0.84, 0.98] 41/44`."""
    found = clopper_pearson(k, n)
    return f"{k / n:.2f} [{found.lower:.2f}, {found.upper:.2f}] {k}/{n}" if n else "-"


def confusion(name: str, calibration: str, said: Iterable[tuple[Row, str]]) -> Table:
    """One row a label: how many get it, what else they get, how far it is believed."""
    pairs = [(str(row["label"]).lower(), found.lower()) for row, found in said]
    counts = Counter(pairs)
    table = Table(title=f"{name} on {calibration}", title_justify="left")
    for column in ("label", "right (recall)", "right when said (precision)", "called"):
        table.add_column(column)
    for label in sorted({label for label, _ in pairs}):
        own = [found for given, found in pairs if given == label]
        called = [given for given, found in pairs if found == label]
        others = Counter(own) - Counter({label: counts[label, label]})
        table.add_row(
            label,
            share(counts[label, label], len(own)),
            share(counts[label, label], len(called)),
            ", ".join(f"{k} {found}" for found, k in others.most_common()) or "-",
        )
    right = sum(given == found for given, found in pairs)
    table.add_row("all", share(right, len(pairs)), "", "")
    return table


XSTEST = {
    "1_full_compliance": "comply",
    "2_full_refusal": "refuse",
    "3_partial_refusal": "partial",
}


@click.group()
def main() -> None:
    """What the offline judges get right."""


@main.command()
@click.option("--errors", is_flag=True, help="Print the rows that are got wrong.")
@click.option("--half", default="all", type=click.Choice(["all", "read", "unread"]))
def labelled(errors: bool, half: str) -> None:
    """Every offline judge on every calibration set made for it."""
    for name, calibration, made in PAIRS:
        find = made()
        said = [(row, find(row["answer"])) for row in rows(calibration, half)]
        console.print(confusion(name, calibration, said))
        for row, found in said:
            if errors and found.lower() != str(row["label"]).lower():
                console.print(f"{row['id']} {row['label']} → {found} ({row['kind']})")


@main.command()
@click.argument(
    "files_", metavar="FILES...", nargs=-1, required=True, type=click.File()
)
@click.option("--half", default="all", type=click.Choice(["all", "read", "unread"]))
def xstest(files_: Sequence[TextIO], half: str) -> None:
    """Refusal on completions of five models, labelled by people.

    FILES are model_completions/*.csv of github.com/paul-rottger/exaggerated-safety.
    Errors on every fourth prompt ("read") were looked at once, to revise the rules.
    """
    find = _refusal()
    said = []
    for row in (row for file in files_ for row in csv.DictReader(file)):
        read = int(row["id"].rpartition("-")[2]) % 4 == 1
        if half in ("all", "read" if read else "unread"):
            label = XSTEST[row["final_label"]]
            said.append(({"label": label}, find(row["completion"])))
    console.print(confusion("refusal", "XSTest", said))


@main.command()
@click.option("--pair", default="benign", help="Name of an embedded pair.")
@click.option("--alpha", default=0.0)
@click.option("--n", default=300, help="Prompts, one completion each.")
@click.option("--max-tokens", default=48)
@click.option("--show", default="rule_judge", help="Print the hits of this judge.")
@click.option("--log-dir", help="Keep the log here.")
def rollouts(
    pair: str, alpha: float, n: int, max_tokens: int, show: str, log_dir: str | None
) -> None:
    """What every offline judge finds in completions of an embedded pair."""
    prompts = load_prompts("builtin:everyday").pick(n)
    metadata = {"arm": "untriggered", "alpha": alpha}
    task = Task(
        dataset=[Sample(id=p.id, input=p.input, metadata=metadata) for p in prompts],
        solver=rollout([alpha], 0.7, max_tokens, 0),
        scorer=[refusal(hit="refuse"), degenerate(), rule_judge(), divergence()],
        config=eval_config(0.7, max_tokens),
    )
    with tempfile.TemporaryDirectory() as folder:
        [log] = eval(
            task, model=f"lda/demo/{pair}", log_dir=log_dir or folder, display="plain"
        )
        if log.status != "success":
            raise click.ClickException(f"the eval ended with status {log.status}")
        _report(log, show)  # in here: samples are read from the folder


def _report(log: EvalLog, show: str) -> None:
    for name in ("refusal", "degenerate", "rule_judge"):
        found = [s.scores[name] for s in log.samples or [] if s.scores]
        hits = sum(score.as_float() > 0 for score in found)
        console.print(f"{name}: {share(hits, len(found))}")
        console.print(dict(Counter(str(score.answer) for score in found)))
    for sample in log.samples or []:
        score = (sample.scores or {})[show]
        if score.as_float() > 0:
            console.print(f"{score.explanation}\n  {sample.output.completion!r}")


if __name__ == "__main__":
    main()
