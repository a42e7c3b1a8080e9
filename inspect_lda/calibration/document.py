"""What `inspect-lda check` says of a pair, as JSON holds it; torch-free."""

from typing import Literal

from pydantic import ConfigDict, Field

from inspect_lda.calibration.result import Frozen, SelfTest

SCHEMA: Literal["inspect_lda.check/1"] = "inspect_lda.check/1"


class Side(Frozen):
    """One checkpoint.

    Attributes:
        name: As logs name it.
        stored: Dtypes of its floating-point tensors as stored, or as loaded where the
            files could not be read, the most frequent first.
        quantization: Method and width, None for plain weights.
    """

    name: str
    stored: tuple[str, ...]
    quantization: str | None


class Erased(Frozen):
    """How many of the changed weights come out as `before`'s in a dtype."""

    dtype: str
    weights: int


class Deltas(Frozen):
    """How the weights of the two checkpoints differ.

    Attributes:
        source: What was compared: "files", "loaded weights" or "adapter".
        tensors: Floating-point tensors that both have.
        changed_tensors: Of these, those that differ by more than the rounding of one
            side.
        weights: Numbers in them.
        touched_weights: Numbers in the changed tensors.
        changed_weights: Numbers of the changed tensors that differ.
        rounded_weights: Numbers of the others that differ, since one side is rounded.
        grid: The coarser of the precisions that the two sides' numbers are stored in.
        ulps: 10 %, 50 % and 90 % quantiles of the size of the changes, in steps of
            `grid` at the changed weight (of bfloat16 for an adapter).
        equal_on_grid: Numbers of the changed tensors that are the same on `grid`.
        one_step: Numbers that differ by exactly one step of `grid`.
        erased: Of the changed weights, how many would be lost by dtype.
        adapter_erased: With the adapter at hand: weights that it changes and that are
            still those of `before`; None without.
        adapter_weights: Weights that it changes; None without.
        notes: What was not compared, and why.
    """

    source: str
    tensors: int
    changed_tensors: int
    weights: int
    touched_weights: int
    changed_weights: int
    rounded_weights: int
    grid: str
    ulps: tuple[float, float, float] | None
    equal_on_grid: int
    one_step: int
    erased: tuple[Erased, ...]
    adapter_erased: int | None = None
    adapter_weights: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def looks_rounded(self) -> bool:
        """Whether most changes were lost in, or are one step of, a half precision.

        Training that is stored so leaves most weights of a tensor where they were, and
        moves the others by the smallest step there is.
        """
        half = self.grid != "float32" and self.source != "adapter"
        near = self.equal_on_grid + self.one_step
        return half and self.changed_weights > 0 and 2 * near > self.touched_weights


class Check(Frozen):
    """What `inspect-lda check` finds.

    Attributes:
        schema_: Name and version of this form.
        version: Of inspect_lda.
        after: The checkpoint after training.
        before: The checkpoint before it.
        device: Where the pair runs.
        prompt_set: The prompts that were asked, and their hash.
        test: What the pair does.
        deltas: How its weights differ.
        advice: What to change, the most effective first.
        notes: What loading noticed.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    schema_: Literal["inspect_lda.check/1"] = Field(default=SCHEMA, alias="schema")
    version: str
    after: Side
    before: Side
    device: str
    prompt_set: dict[str, str]
    test: SelfTest
    deltas: Deltas
    advice: tuple[str, ...]
    notes: tuple[str, ...]
