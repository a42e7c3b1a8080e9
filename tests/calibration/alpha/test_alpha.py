"""Calibrations of a real tiny pair, and what they refuse."""

import asyncio
import json
import math
from pathlib import Path

import pytest
from pydantic import BaseModel

from inspect_lda.calibration.found import Calibration, read, write
from inspect_lda.calibration.records import Ledger
from inspect_lda.calibration.session import Session
from inspect_lda.errors import LDAError
from tests.calibration.alpha.conftest import SMALL, Calibrate


def test_the_budget_is_spent_and_the_text_is_checked(found: Calibration) -> None:
    assert found.limited_by == "kl_budget"
    assert found.alpha is not None
    assert found.alpha_kl is not None
    assert 0.99 * found.alpha_kl < found.alpha <= found.alpha_kl
    [trial] = found.trials
    assert trial.alpha == found.alpha
    assert trial.lower >= found.target
    # Real rollouts wander off the contexts of alpha 0, but not far.
    assert trial.kl == pytest.approx(found.settings.kl_budget, rel=0.4)
    assert found.grid[:2] == (-1.0, 0.0)
    shares = [alpha / found.alpha for alpha in found.grid[2:]]
    assert shares == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1], rel=0.01)


def test_curves_start_where_nothing_is_amplified(found: Calibration) -> None:
    base, *points = found.curves
    assert base.alpha == 0
    assert base.kl < 1e-6
    kls = [point.kl for point in points]
    assert kls == sorted(kls)
    assert all(0 < point.kl_se < math.inf for point in points)
    # KL(q || after) is alpha^2 Var / 2 where alpha is small, and so is KL(after ||
    # before) at alpha 1 of a small difference, to third order.
    one = next(point for point in points if point.alpha == 1)
    assert one.kl == pytest.approx(found.reference.pair_kl, rel=0.3)


def _numbers(record: BaseModel) -> dict[str, float]:
    fields = record.model_dump()
    limits = fields.pop("limits", {})
    return {**fields, **limits}


def test_a_calibration_is_reproducible(
    calibrate: Calibrate, found: Calibration
) -> None:
    again = calibrate()
    for part in ("alpha", "prompts", "pair"):
        assert getattr(again, part) == getattr(found, part)
    # Which rows share a batch is a matter of time, and their last digits follow it.
    assert _numbers(again.reference) == pytest.approx(_numbers(found.reference))
    for one, other_time in zip(again.trials, found.trials, strict=True):
        assert _numbers(one) == pytest.approx(_numbers(other_time))
    # A new seed tells other stories of the same pair.
    other = calibrate(seed=1)
    assert other.reference != found.reference
    assert other.alpha == pytest.approx(found.alpha, rel=0.3)


def test_a_larger_budget_buys_a_larger_alpha(
    calibrate: Calibrate, found: Calibration
) -> None:
    small = calibrate(kl_budget=0.05)
    assert small.chosen() < 0.5 * found.chosen()
    margin = calibrate(margin=0.0, kl_budget=50)
    assert margin.limited_by in ("surprise", "coherence")
    assert margin.alpha_surprise is not None


def test_a_pair_without_a_difference_is_invalid(calibrate: Calibrate) -> None:
    same = calibrate(before="after")
    assert same.alpha is None
    assert same.grid == ()
    assert same.invalid is not None
    assert "nothing to amplify" in same.invalid
    with pytest.raises(LDAError, match="nothing to amplify"):
        same.chosen()


async def test_the_self_test_has_the_last_word(trained: Path) -> None:
    from inspect_lda.calibration.alpha import calibrate
    from inspect_lda.calibration.automatic import pair_record

    session = Session(
        str(trained / "after"), {"before": str(trained / "before")}, SMALL
    )
    engine, renderer = session.engine(), session.renderer()
    try:
        pair = await pair_record(engine, "transformers")
        asked = session.asked(renderer, "builtin:everyday", 24)
        given = (engine, renderer.tokenizer, asked, pair, session.settings)
        capped = await calibrate(*given, honest_alpha=0.75)
        assert (capped.alpha, capped.limited_by) == (0.75, "noise")
        noisy = await calibrate(*given, noise_kl=1.0)
        assert noisy.invalid is not None
        few = session.asked(renderer, "builtin:everyday", 8)
        with pytest.raises(LDAError, match="8 are too few"):
            await calibrate(engine, renderer.tokenizer, few, pair, session.settings)
    finally:
        await asyncio.to_thread(engine.close)


def test_a_file_reads_back(found: Calibration, tmp_path: Path) -> None:
    write(found, tmp_path / "a.json")
    assert read(tmp_path / "a.json") == found
    raw = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert raw["schema"] == "inspect_lda.calibration/1"
    (tmp_path / "b.json").write_text(json.dumps({**raw, "schema": "x"}), "utf-8")
    for name, reason in (("b.json", "no calibration"), ("c.json", "cannot be read")):
        with pytest.raises(LDAError, match=reason):
            read(tmp_path / name)


def test_settings_are_refused_with_what_is_allowed() -> None:
    with pytest.raises(LDAError, match=r"kl_budget=0.*above 0"):
        Session("demo/drift@10", {}, {"kl_budget": 0})
    with pytest.raises(LDAError, match="-M alpha: alpha is what is looked for"):
        Session("demo/drift@10", {"alpha": 2}, {})


def test_what_it_took_is_counted(found: Calibration) -> None:
    told: Ledger = found.ledger
    [trial] = found.trials
    # Every prompt once for a token, once for the reference.
    assert told.rollouts == 2 * 32 + trial.rollouts
    assert told.prefilled == found.prompts.tokens
    assert told.forwards == told.prefilled + told.sampled - told.rollouts
    assert told.scored == found.reference.tokens - found.reference.rollouts
