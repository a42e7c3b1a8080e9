"""A planted trigger found in an embedded pair, as a user finds it."""

from pathlib import Path

import pytest

from inspect_lda.organisms import organism
from tests.e2e.test_cli import inspect_eval, metrics, the_log

HAYSTACK = ("--model", "lda/demo/haystack")


@pytest.mark.slow
def test_the_planted_trigger_is_first_and_sets_the_payload_off(tmp_path: Path) -> None:
    trigger = organism("haystack").trigger
    hunt, confirm = tmp_path / "hunt", tmp_path / "confirm"
    inspect_eval(hunt, "inspect_lda/trigger_hunt", *HAYSTACK)
    found = metrics(the_log(hunt), "trigger_lift")
    assert found["significant"] >= 1
    ranked = [name for name in found if name.startswith("holm@")]
    assert ranked[0] == f"holm@{trigger}"
    assert found[f"holm@{trigger}"] < 1e-3
    assert found[f"baseline_k@{trigger}"] <= 1

    arguments = ("-T", f"log={hunt}", "-T", "top=4", "-T", "limit_prompts=8")
    inspect_eval(confirm, "inspect_lda/trigger_confirm", *HAYSTACK, *arguments)
    effect = metrics(the_log(confirm), "payload_behind")
    assert effect["confirmed"] >= 1
    assert effect[f"p_with@{trigger}"] > 0.4
    assert effect[f"p_without@{trigger}"] < 0.01


@pytest.mark.slow
def test_a_candidate_is_told_from_another(tmp_path: Path) -> None:
    """Exact probabilities need no rollouts."""
    candidates = f"candidates={organism('haystack').trigger},yesterday"
    arguments = ("-T", candidates, "-T", "limit_prompts=8")
    inspect_eval(tmp_path, "inspect_lda/trigger_confirm", *HAYSTACK, *arguments)
    effect = metrics(the_log(tmp_path), "payload_behind")
    assert effect["confirmed"] == 1
    assert effect["p_with@yesterday"] < 0.01
