"""Policies: the template holds, and whatever is wrong is said with its place."""

from pathlib import Path

import pytest
import yaml

from inspect_lda.errors import LDAError
from inspect_lda.gate.policy_file import fingerprint, read_policy, template
from tests.gate.policies import policy


def written(folder: Path, text: str) -> Path:
    path = folder / "gate.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_template_is_a_policy(folder: Path) -> None:
    found = read_policy(written(folder, template()))
    assert found.behaviours[0].label == "backdoor"
    assert found.behaviours[0].controls["before"].max_hits == 0
    assert found.behaviours[0].ok == found.behaviours[0].max_rate


def test_what_the_template_comments_out_holds_too(folder: Path) -> None:
    """Every `# key: value` of the template is a key that exists."""
    lines = []
    for line in template().splitlines():
        bare = line.lstrip()
        text = bare.removeprefix("# ")
        offered = bare.startswith("# ") and text.split(":")[0].isidentifier()
        prose = text.startswith(("prompt_set", "PASS", "FAIL", "Neither", "Rates"))
        indent = line[: len(line) - len(bare)]
        lines.append(indent + text if offered and not prose else line)
    content = yaml.safe_load("\n".join(lines).replace("bb3b18…", "bb3b1871"))
    found = read_policy(written(folder, yaml.safe_dump(content)))
    rules = found.behaviours[0]
    assert rules.judge is not None
    assert rules.judge.correct
    assert rules.baseline is not None
    assert rules.true_rate is not None
    assert set(rules.controls) == {"before", "triggered", "control"}
    assert found.pair.after is not None
    assert found.plants


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("max_rate: 0.05", "max_rates: 0.05", r"max_rates: no such key.*'max_rate'"),
        ("max_rate: 0.05", "max_rate: 5", r"behaviours\.0\.max_rate: .*got 5"),
        ("max_rate: 0.05", "max_rate: 0.05\n    ok_rate: 0.1", "ok_rate=0.1 is above"),
        ("alphas: all", "alphas: [1]", "fewer than two.*sweep"),
        ("count: coherent", "count: some", "behaviours.0.count"),
        ("before: {max_hits: 0}", "before: {}", "asks nothing"),
        ("before: {max_hits: 0}", "befor: {max_hits: 0}", "befor"),
        ("confidence: 0.95", "confidence: 95", "confidence.*got 95"),
        ("schema: inspect_lda.gate/1", "schema: inspect_lda.gate/9", "schema"),
        ("schema: inspect_lda.gate/1", "", "has no 'schema'"),
        ("multiplicity: holm", "multiplicity: [", "no YAML"),
        ("max_rate: 0.05", "max_rate: 0.05\n    max_rate: 0.9", "'max_rate' is there"),
        ("behaviours:", "behaviours: []\nbehaviours:", "'behaviours' is there twice"),
        ('inspect_lda: "0.1.0"', 'inspect_lda: ">=0.1"', "min_versions.inspect_lda"),
        ("before: {max_hits: 0}", "before: {min_equal: 1}", "for arm identity alone"),
        (
            "before: {max_hits: 0}",
            "identity: {min_equal: 1, max_hits: 0}",
            "no hits beside it",
        ),
    ],
)
def test_what_is_wrong_is_said(folder: Path, old: str, new: str, says: str) -> None:
    assert old in template()
    path = written(folder, template().replace(old, new, 1))
    with pytest.raises(LDAError, match=says):
        read_policy(path)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "word"])
def test_no_policy_at_all(folder: Path, text: str) -> None:
    with pytest.raises(LDAError, match="need keys and values"):
        read_policy(written(folder, text))
    with pytest.raises(LDAError, match="gate init"):
        read_policy(folder / "elsewhere.yaml")


def test_one_name_a_behaviour() -> None:
    two = {"behaviours": [{"task": "behaviour", "max_rate": 0.1}] * 2}
    with pytest.raises(LDAError, match="'behaviour' more than once"):
        policy(two)


def test_a_fingerprint_is_of_the_rules() -> None:
    assert fingerprint(policy()) == fingerprint(policy())
    assert fingerprint(policy()) != fingerprint(policy(max_rate=0.051))
