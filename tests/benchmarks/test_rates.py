"""The toys' rates are exact, and a small simulation ends as the large one does."""

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.rates import main
from benchmarks.toy_rollouts import runs
from benchmarks.toys import PROMPTS, Kind, tuned


@pytest.mark.parametrize("kind", ["early", "turn", "anywhere", "diffuse"])
def test_toys_do_what_dynamic_programming_says(kind: Kind) -> None:
    toy = tuned(kind, 0.02, 1.0)
    assert toy.rates().mean() == pytest.approx(0.02)
    alphas, each = (0.0, 1.0), 400
    first_k = 4 if kind == "diffuse" else None
    [run] = runs(toy, alphas, each, 1, np.random.default_rng(1), first_k)
    for column, alpha in enumerate(alphas):
        exact = toy.rates(alpha, first_k).mean()
        seen = run.hit[run.drawn == column].mean()
        assert abs(seen - exact) < 4 * np.sqrt(exact / (each * PROMPTS))
    assert np.isfinite(run.log_at).all()


def test_amplified_chains_are_distributions() -> None:
    toy = tuned("anywhere", 1e-3, 5.0)
    assert np.exp(toy.amplified(3.0)).sum(1) == pytest.approx(1)
    assert toy.amplified(0.0) == pytest.approx(toy.log_after)


def test_a_small_simulation_holds_its_bars() -> None:
    asked = ["--replicates", "15", "--rates", "1e-4", "--noises", "0.2"]
    done = CliRunner().invoke(main, [*asked, "--no-extras"])
    assert done.exit_code in {0, 1}, done.output
    lines = done.output.splitlines()
    rows = [line for line in lines if line.startswith(("| early", "| anywhere"))]
    assert len(rows) == 2 * 2
    held = [line for line in lines if line.startswith("- ")]
    assert [line.split(":")[0] for line in held if "gain" in line] == ["- holds"]
    assert [line.split(":")[0] for line in held if "mean" in line] == ["- holds"]
