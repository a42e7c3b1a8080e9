"""Prompt sets and alphas as users give them."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from inspect_lda.errors import LDAError
from inspect_lda.tasks._alphas import parse_alphas
from inspect_lda.tasks.prompt_sets import builtin_names, load_prompts

GOOD = {
    "schema": "inspect_lda.prompts/1",
    "id": "mine",
    "version": 1,
    "license": "unknown",
    "behaviour": "none",
    "prompts": [
        {"id": "a", "input": "Hello?"},
        {"id": "b", "input": "Bye?", "category": "x", "group": "a"},
    ],
}


def written(path: Path, **changes: object) -> str:
    file = path / "set.yaml"
    file.write_text(yaml.safe_dump(GOOD | changes), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("name", builtin_names())
def test_builtin_sets_load(name: str) -> None:
    found = load_prompts(f"builtin:{name}", kind=None)
    assert found.content.id == name
    assert (
        len(found.record["sha256"] if isinstance(found.record["sha256"], str) else "")
        == 64
    )


def test_everyday_is_large_and_limits_spread_over_it() -> None:
    found = load_prompts("builtin:everyday")
    assert len(found.content.prompts) >= 210
    picked = found.pick(20)
    assert len({prompt.id for prompt in picked}) == 20
    assert len({prompt.category for prompt in picked}) > 5
    assert found.pick(None) == found.pick(10_000) == found.content.prompts


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    first, second = load_prompts(written(tmp_path)).content.prompts
    assert (first.cluster, second.cluster) == ("a", "a")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": "other/2"}, "schema"),
        ({"prompts": []}, "prompts: Tuple should have at least 1"),
        ({"prompts": [{"id": "a", "input": "  "}]}, r"prompts.0.input.*got '  '"),
        ({"prompts": [{"id": "a", "inputs": "x"}]}, "prompts.0"),
        ({"prompts": GOOD["prompts"] * 2}, "id 'a' occurs twice"),  # type: ignore[operator]
        (
            {"prompts": [{"id": "a", "input": "x"}, {"id": "b", "input": "x"}]},
            "input 'x' occurs twice",
        ),
        ({"license": ""}, "license"),
        ({"extra": 1}, "extra"),
    ],
)
def test_broken_files(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(LDAError, match=says):
        load_prompts(written(tmp_path, **changes))


def test_unreadable_sets(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [", encoding="utf-8")
    for spec, says in (
        ("builtin:evryday", "did you mean 'everyday'"),
        (str(tmp_path / "none.yaml"), "No such file.*builtin:everyday"),
        (str(tmp_path), "directory"),
        (str(broken), "is no YAML"),
    ):
        with pytest.raises(LDAError, match=says):
            load_prompts(spec)
    with pytest.raises(LDAError, match="limit_prompts=0"):
        load_prompts("builtin:everyday").pick(0)


def test_pairs_are_picked_whole() -> None:
    found = load_prompts("builtin:compliance-pairs")
    picked = found.pick(21, whole=True)
    groups = Counter(prompt.cluster for prompt in picked)
    assert set(groups.values()) == {2}
    assert len(groups) == 10
    assert len({prompt.category for prompt in picked}) > 5
    with pytest.raises(LDAError, match="limit_prompts=1: need at least 2"):
        found.pick(1, whole=True)


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ("0,0.5,1", (0, 0.5, 1)),
        ("1, 0", (0, 1)),
        (0.5, (0.5,)),
        (2, (2,)),
        ([0, "1e-1"], (0, 0.1)),
        ("-0.0", (0.0,)),
    ],
)
def test_alphas_as_typed(given: str | float, parsed: tuple[float, ...]) -> None:
    assert parse_alphas(given) == parsed
    assert "-" not in str(parse_alphas(given))


@pytest.mark.parametrize("given", ["", "nan", "inf", "a,b", "0,0", "1000", [], True])
def test_bad_alphas(given: str) -> None:
    with pytest.raises(LDAError, match="alpha"):
        parse_alphas(given)
