"""Rollouts at the door: what is refused, and what is summed."""

import numpy as np
import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.drawn import Rollout, cut


def rollout(**changes: object) -> Rollout:
    """Three tokens at alpha 1, a hit."""
    given: dict[str, object] = {
        "prompt": "a",
        "alpha": 1.0,
        "hit": True,
        "log_p": np.array([-3.0, -2.0, -1.0]),
        "log_q": np.array([-1.0, -1.5, -4.0]),
        "also": {2.0: np.array([-0.5, -1.0, -5.0])},
    }
    return Rollout(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"log_q": np.array([-1.0, -1.5])}, r"log_q has shape \(2,\)"),
        ({"also": {2.0: np.array([-1.0])}}, r"also\[2\] has shape"),
        ({"log_p": np.array([-1.0, np.nan, -1.0])}, "log_p holds NaN"),
        ({"log_q": np.array([-1.0, -np.inf, -1.0])}, "log_q is minus infinity"),
        ({"decided": 4}, "decided=4, need 0 to 3"),
    ],
)
def test_evidence_that_cannot_be_is_refused(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(LDAError, match=said):
        rollout(**changes)


def test_sums_end_with_the_decision() -> None:
    plain = rollout(alpha=0.0, log_q=np.array([-3.0, -2.0, -1.0]), decided=None)
    other = rollout(prompt="b", alpha=2.0, also={1.0: np.array([-1.0, -1.5, -4.0])})
    also = {1.0: np.zeros(3), 2.0: np.zeros(3)}
    found = cut([rollout(decided=2), other, rollout(**{**vars(plain), "also": also})])
    assert found.prompts == ("a", "b")
    assert found.alphas == (0.0, 1.0, 2.0)
    assert found.log_p.tolist() == [-5.0, -6.0, -6.0]
    # At 0 q is the reference, whether named or not.
    assert found.log_at[0].tolist() == [-5.0, -2.5, -1.5]
    assert found.log_at[1].tolist() == [-6.0, -6.5, -6.5]
    assert found.log_q.tolist() == [-2.5, -6.5, -6.0]
    assert found.pooled
    assert not cut([rollout(also={}), other]).pooled


def test_lower_bounds_are_told() -> None:
    assert cut([rollout()]).lower == ()
    assert "truncation" in cut([rollout(lower_bound=True)]).lower[0]
    # A phrase may come behind the amplified tokens; a judged reply is judged whole.
    late = [rollout(first_k=1, decided=1), rollout(first_k=1, hit=False)]
    assert "first_k" in cut(late).lower[0]
    assert cut([rollout(first_k=1)]).lower == ()
    assert cut([rollout(first_k=1, decided=1)]).lower == ()


def test_what_is_no_experiment_is_refused() -> None:
    with pytest.raises(LDAError, match="no rollouts"):
        cut([])
    with pytest.raises(LDAError, match="first_k=3, 5"):
        cut([rollout(first_k=3), rollout(first_k=5)])
    with pytest.raises(LDAError, match="alpha=3: no rollout"):
        cut([rollout()]).only(3.0)
