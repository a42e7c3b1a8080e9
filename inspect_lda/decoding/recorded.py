"""What is recorded of every drawn token; no torch here, so that clients can read it."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class StepEvidence(NamedTuple):
    """One value a row, `[batch, 1]` each; natural logarithms.

    `log_p_plain` is `after` at the temperature without truncation, penalties or bias.
    `only_after` counts the ids that are possible under `after` and impossible under
    `before`. `tail` is the mass that `after`, at the temperature, has outside the
    row's support, and `lost` that of the amplified distribution after penalties and
    bias and before truncation; 0 without a support. `alpha` is the amplification that
    nets left, `acted` says which nets acted (`decoding.nets`), and `dropped` is the
    amplified mass below a plausibility floor.
    """

    log_q: "Tensor"
    log_p_after: "Tensor"
    log_p_before: "Tensor"
    log_p_plain: "Tensor"
    entropy_after: "Tensor"
    kl: "Tensor"
    implausible: "Tensor"
    only_after: "Tensor"
    tail: "Tensor"
    lost: "Tensor"
    alpha: "Tensor"
    acted: "Tensor"
    dropped: "Tensor"
