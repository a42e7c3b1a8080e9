"""The rest: one column that stands for all ids of which no log-probability is known.

Where the ids of a support A are known under both checkpoints, their masses outside of
it are known too: r_a = 1 - after(A) and r_b = 1 - before(A). A step over the columns of
A and one more, with log r_a and log r_b for logits, amplifies the rest to

    r_a^(1 + alpha) * r_b^(-alpha).

The true amplified mass outside is the sum of a_x^(1 + alpha) * b_x^(-alpha) over the
ids x there. The function a^(1 + alpha) * b^(-alpha) is homogeneous of degree 1. For
alpha >= 0 or alpha <= -1 it is convex (the perspective of a convex power), so the sum
is at least its value at the sums: the column is a lower bound. For -1 < alpha < 0 it is
concave (Hoelder), and the column is an upper bound. At alpha 0 and -1 both are equal.

A temperature T raises every term to 1/T. With m_x for the terms and n of them:

- T < 1: sum m_x^(1/T) >= n^(1 - 1/T) * (sum m_x)^(1/T), the power mean inequality. The
  factor is (T - 1) ln n on the column's logits before they are divided by T. An upper
  bound needs none: sum m_x^(1/T) <= (sum m_x)^(1/T).
- T > 1: both inequalities turn round; now the upper bound needs the factor.

What is lost, rest / (A + rest), grows with the rest, so it is bounded the same way. The
bounds hold for logit bias and penalties as long as none falls on an id outside A.
"""

import math


def is_upper_bound(alpha: float) -> bool:
    """Whether the column bounds the lost mass from above instead of from below."""
    return -1 < alpha < 0


def rest_logit(mass: float, ids: int, alpha: float, temperature: float) -> float:
    """The logit of the column under one checkpoint, beside log-probabilities on A.

    Both checkpoints get theirs with the same `ids`, `alpha` and `temperature`.

    Args:
        mass: Probability outside A, 0 to 1.
        ids: How many ids are outside, or more: too many weaken the bound only.
        alpha: Amplification.
        temperature: Of the step, > 0; 1 where the draw is greedy.
    """
    if mass <= 0 or ids < 1:
        return -math.inf
    loose = temperature > 1 if is_upper_bound(alpha) else temperature < 1
    spread = (temperature - 1) * math.log(ids) if loose else 0.0
    return math.log(mass) + spread
