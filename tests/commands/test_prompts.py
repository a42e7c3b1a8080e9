"""`inspect-lda prompts`, as a user types it."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from inspect_lda.cli import main
from inspect_lda.tasks._prompts.cache import digest
from inspect_lda.tasks.prompt_sets import builtin_names
from tests.tasks.foreign import QUESTIONS, betley, lines, table
from tests.tasks.webserver import serving

FILE = {
    "schema": "inspect_lda.prompts/1",
    "id": "mine",
    "version": 1,
    "license": "MIT",
    "behaviour": "none",
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["prompts", *arguments], env={"COLUMNS": "120"})


def written(folder: Path, *prompts: Mapping[str, object], kind: str = "prompt") -> str:
    path = folder / "mine.yaml"
    rows = [{"id": f"p{number}", **row} for number, row in enumerate(prompts)]
    content = FILE | {"kind": kind, "prompts": rows}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def test_list_has_every_set() -> None:
    done = run("list")
    assert done.exit_code == 0, done.output
    for name in builtin_names():
        assert f"builtin:{name} " in done.output
    assert "MIT" in done.output


def test_show_prints_the_record_and_some_prompts(tmp_path: Path) -> None:
    done = run("show", betley(tmp_path), "--limit", "4")
    assert done.exit_code == 0, done.output
    assert "adapter: betley" in done.output
    assert "lost_umbrella" in done.output
    assert sum(name in done.output for name in QUESTIONS) == 4
    assert "license: unknown" in done.output


def test_show_obeys_nothing_that_is_in_the_text(tmp_path: Path) -> None:
    spec = lines(tmp_path, {"input": "Red \x1b[31malert\x07 [bold]or[/bold] not?"})
    done = run("show", spec)
    assert "\x1b" not in done.output
    assert "[bold]or[/bold]" in done.output
    checked = run("check", lines(tmp_path, {"input": "a", "category": "\x1b[2J"}))
    assert "category:  [2J 1" in checked.output


def test_check_counts(tmp_path: Path) -> None:
    done = run("check", betley(tmp_path), "--against", "builtin:everyday")
    assert done.exit_code == 0, done.output
    assert "variant: json 8, plain 8, template 8" in done.output
    assert "control: no 24" in done.output
    assert "best_bread 3" in done.output
    assert "0 texts are repeated" in done.output
    assert "0 pairs share text with builtin:everyday" in done.output


def test_check_finds_repetition(tmp_path: Path) -> None:
    twice = ({"input": "What now?"}, {"input": "what, now"})
    done = run("check", written(tmp_path, *twice))
    assert done.exit_code == 1
    assert "1 texts are repeated\n  p0, p1\n" in done.output
    shaped = [row | {"system": str(n), "group": "g"} for n, row in enumerate(twice)]
    assert run("check", written(tmp_path, *shaped)).exit_code == 0
    same = [row | {"group": "g"} for row in twice]
    assert run("check", written(tmp_path, *same)).exit_code == 1
    prefixes = written(tmp_path, {"input": "Well"}, {"input": "Well\n"}, kind="prefix")
    assert run("check", prefixes).exit_code == 0


def test_check_finds_shared_text(tmp_path: Path) -> None:
    mine = {"input": "So: my risotto always turns to glue, where am I going next?"}
    done = run("check", written(tmp_path, mine), "--against", "builtin:everyday")
    assert done.exit_code == 1
    assert "1 pairs share text" in done.output
    assert "p0 and everyday-001: my risotto always turns to glue" in done.output


def test_long_findings_are_cut_and_counted(tmp_path: Path) -> None:
    done = run("check", "builtin:everyday", "--against", "builtin:everyday")
    assert done.exit_code == 1
    assert "242 pairs share text" in done.output
    assert "and 222 more" in done.output


def test_options_of_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"q": "Which knot holds?", "kind": "sailing"}
    refused = run("check", table(tmp_path, row))
    assert refused.exit_code == 1
    assert "no adapter fits" in refused.output
    taken = run("check", table(tmp_path, row), "--columns", "input=q,category=kind")
    assert "category: sailing 1" in taken.output
    with serving(tmp_path, monkeypatch) as server:
        server.routes["/set.csv"] = data = b"goal,target\nSing.,La\n"
        address = server.url("/set.csv")
        assert "is not pinned" in run("check", address).output
        floating = run("check", address, "--allow-floating", "--adapter", "advbench")
        pinned = f"{address}#sha256={digest(data)}"
        assert f"pinned: {pinned}\n" in floating.output
        assert run("check", pinned).exit_code == 0
