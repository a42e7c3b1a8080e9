"""What to change when noise, or rounding that already happened, stands in the way."""

from inspect_lda.calibration.document import Deltas, Side
from inspect_lda.calibration.result import SelfTest

SAFE = 20.0
"""An honest alpha from here on needs no advice: larger ones are of no known use."""
LOST = 0.05
"""Share of the changed weights whose loss is worth a word."""


def ways_out(precision: str) -> tuple[str, ...]:
    """Options that lower the noise of a run, the most effective first.

    Args:
        precision: As the self-test names it, e.g. "bfloat16, head float32".
    """
    body, _, head = precision.partition(",")
    if body == "float32":
        return ()
    ways = ["-M dtype=float32 (twice the memory; rounding is then no concern)"]
    if body == "bfloat16":
        ways.append(
            "-M dtype=float16, which rounds 8 times finer (unless the model overflows)"
        )
    if not head:
        ways.append(
            "-M head_dtype=float32, which helps a little (most noise is the body's)"
        )
    return tuple(ways)


def advice_on(
    test: SelfTest, deltas: Deltas, after: Side, before: Side
) -> tuple[str, ...]:
    """Advice for a checked pair, the most effective first."""
    found = []
    if test.is_flat:
        found.append(_flat(deltas))
    elif test.honest_alpha is None or test.honest_alpha < SAFE:
        found += [f"for a larger alpha: {way}" for way in ways_out(test.precision)]
    if deltas.looks_rounded:
        found.append(_rounded(deltas))
    if deltas.source == "adapter" and deltas.changed_weights:
        found.append(_unmerged(deltas))
    body = test.precision.partition(",")[0]
    lost = next((one.weights for one in deltas.erased if one.dtype == body), 0)
    finer = deltas.grid not in ("bfloat16", body)
    if deltas.source != "adapter" and finer and lost > LOST * deltas.changed_weights:
        found.append(
            f"-M dtype=float32: held in {body}, {lost:,} of {deltas.changed_weights:,} "
            "changed weights are equal in both checkpoints"
        )
    if after.stored[:1] != before.stored[:1] and deltas.source != "adapter":
        found.append(
            f"after is stored in {_first(after)}, before in {_first(before)}: the "
            "difference holds the rounding of one side. Compare checkpoints stored "
            "alike"
        )
    if after.quantization != before.quantization:
        found.append(
            f"after is {after.quantization or 'not quantised'}, before is "
            f"{before.quantization or 'not quantised'}: the difference holds "
            "quantisation error, which no dtype removes. Give both in one format"
        )
    return tuple(found)


def _flat(deltas: Deltas) -> str:
    if not deltas.changed_weights:
        return (
            "both names are the same model: there is nothing to amplify. As a control "
            "that is what it should be; otherwise check the names"
        )
    return (
        "the checkpoints differ by no more than rounding does, so that amplification "
        "shows noise. Use a later checkpoint, or more precision"
    )


def _rounded(deltas: Deltas) -> str:
    kept = deltas.touched_weights - deltas.equal_on_grid
    exact = ""
    if deltas.adapter_erased is not None and deltas.adapter_weights:
        exact = (
            f" Of the {deltas.adapter_weights:,} weights that the adapter changes, "
            f"{deltas.adapter_erased:,} were erased by merging."
        )
    return (
        f"the training is stored in {deltas.grid} and looks rounded away: in the "
        f"tensors that it changed, {deltas.equal_on_grid:,} of "
        f"{deltas.touched_weights:,} weights are those of before, and "
        f"{deltas.one_step:,} of the other {kept:,} moved by the smallest step there "
        f"is. What was lost cannot be amplified.{exact} Give the adapter unmerged "
        "(lda/<adapter>), or the checkpoint as it was before it was cast"
    )


def _unmerged(deltas: Deltas) -> str:
    lost = " and ".join(
        f"{one.weights:,} in {one.dtype}" for one in deltas.erased if one.weights
    )
    if not lost:
        return "the adapter would survive merging; it is never merged here"
    return (
        f"keep the adapter unmerged: merged, of {deltas.changed_weights:,} changed "
        f"weights {lost} would be erased"
    )


def _first(side: Side) -> str:
    return side.stored[0] if side.stored else "no floating-point dtype"
