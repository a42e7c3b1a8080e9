"""The parts of a calibration, as they stand in its file. No torch here."""

from pydantic import BaseModel, ConfigDict, Field

from inspect_lda.statistics.coherence import Limits

KL_BUDGET = 0.5
"""Nats a token: text stays text, on all embedded pairs (docs/alpha.md)."""


class Frozen(BaseModel):
    """A typo in a file is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(Frozen):
    """How alpha is chosen; descriptions are what users read of a refused value."""

    kl_budget: float = Field(
        default=KL_BUDGET,
        gt=0,
        description="most mean KL(q || p_after) a token, a number of nats above 0",
    )
    margin: float = Field(
        default=0.2,
        ge=0,
        description="most surprise above that of alpha 0, nats a token from 0",
    )
    keep: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="least share of the coherence at alpha 0, above 0 and at most 1",
    )
    temperature: float = Field(
        default=0.7, gt=0, description="of all rollouts and curves, above 0"
    )
    max_tokens: int = Field(default=32, ge=4, description="of a rollout, from 4")
    seed: int = Field(default=0, ge=0, description="of all rollouts, from 0")
    batch: int = Field(default=32, ge=1, description="rollouts between two looks")
    looks: int = Field(default=4, ge=1, description="most looks at one alpha")
    levels: int = Field(default=4, ge=1, description="most bisections below the cap")


class PairRecord(Frozen):
    """The pair that was calibrated; names hold the commit where there is one."""

    after: str
    before: str
    dtype: str
    head_dtype: str
    adapter_scale: float
    engine: str


class PromptRecord(Frozen):
    """What was asked, and how it was written.

    Attributes:
        spec: The prompt set as it was named.
        sha256: Of the token ids of all prompts, in order: text and template together.
        prompts: How many.
        tokens: Their length together.
        chat_template: As `-M chat_template=`.
        enable_thinking: As `-M enable_thinking=`.
    """

    spec: str
    sha256: str
    prompts: int
    tokens: int
    chat_template: str | None = None
    enable_thinking: bool | None = None


class Point(Frozen):
    """The curves at one alpha, means over tokens; `_se` is clustered by prompt."""

    alpha: float
    kl: float
    kl_se: float
    surprise: float
    surprise_se: float
    implausible: float
    implausible_se: float


class Trial(Frozen):
    """Real rollouts at one alpha.

    Attributes:
        alpha: Amplification.
        coherent: Coherent ones.
        rollouts: All of them.
        lower: One-sided 95% lower bound of the share, paid for every look.
        kept: Whether that reached the target.
        kl: Mean log q - log p_after of the tokens that were drawn.
        surprise: Mean -log p_after of these.
    """

    alpha: float
    coherent: int
    rollouts: int
    lower: float
    kept: bool
    kl: float
    surprise: float


class Reference(Frozen):
    """The rollouts at alpha 0 that everything starts from.

    Attributes:
        rollouts: How many.
        tokens: How many tokens they have.
        coherent: How many are coherent by limits taken from themselves.
        limits: These limits: `statistics.coherence.Limits`.
        pair_kl: Mean KL(after || before) a token.
        pair_kl_se: Its standard error, clustered by prompt.
        surprise: Mean -log p_after of the tokens that were drawn.
    """

    rollouts: int
    tokens: int
    coherent: int
    limits: Limits
    pair_kl: float
    pair_kl_se: float
    surprise: float


class Ledger(Frozen):
    """What was computed.

    Attributes:
        rollouts: Completions.
        sampled: Tokens drawn.
        prefilled: Prompt tokens read, each distinct prompt once.
        forwards: Tokens that each checkpoint reads: prompts, and every drawn token but
            the last of its rollout.
        scored: Tokens read for teacher-forced scores, prompts apart.
        seconds: Wall time.
        prefill_seconds: Of these, for the prompts; 0 if that is not known.
    """

    rollouts: int
    sampled: int
    prefilled: int
    forwards: int
    scored: int
    seconds: float
    prefill_seconds: float = 0.0


class Plan(Frozen):
    """A run that is planned, and what it is expected to take.

    Attributes:
        prompts: Distinct prompts.
        epochs: Rollouts a prompt and alpha.
        max_tokens: Most tokens of one.
        alphas: The sweep.
        batch: Rows that are decoded together.
        estimate: The expectation; its seconds hold those of loading the pair.
        load_seconds: What loading took.
        probe: The rollouts it was measured on.
    """

    prompts: int
    epochs: int
    max_tokens: int
    alphas: tuple[float, ...]
    batch: int
    estimate: Ledger
    load_seconds: float
    probe: Ledger
