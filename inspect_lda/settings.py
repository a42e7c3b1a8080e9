"""`GenerateConfig` as an engine understands it: every field is honoured or refused.

A field that is set but cannot be honoured would silently change what an eval measures,
so it is an error that names it. Fields this version of Inspect has and we do not know
are refused too, when set.
"""

import math
from dataclasses import dataclass

from inspect_ai.model import GenerateConfig

from inspect_lda.chat import RenderForm
from inspect_lda.engines.base import Nets, Sampling
from inspect_lda.errors import LDAError
from inspect_lda.evidence import EvidenceLevel
from inspect_lda.options import ModelOptions
from inspect_lda.request_options import ScoreOptions, read_request
from inspect_lda.seeds import MAX_SEED, choice_seed

DEFAULT_MAX_TOKENS = 2048
MAX_TOP_LOGPROBS = 20
TEMPERATURES = (1e-6, 1e6)
"""Beyond these, and above 0, logits divided by the temperature leave float32."""

HONOURED = frozenset(
    [
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "stop_seqs",
        "num_choices",
        "logprobs",
        "top_logprobs",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "parallel_tool_calls",
        "extra_body",
    ]
)
"""Fields this provider acts on."""

INSPECTS_OWN = frozenset(
    [
        "max_retries",
        "timeout",
        "attempt_timeout",
        "stream_idle_timeout",
        "max_connections",
        "adaptive_connections",
        "system_message",
        "max_tool_output",
        "internal_tools",
        "cache_prompt",
        "fail_on_refusal",
        "reasoning_history",
        "cache",
        "batch",
    ]
)
"""Fields Inspect itself acts on, or that cannot change what a local model says."""


@dataclass(frozen=True)
class Settings:
    """One generate call, `Sampling.seed` aside.

    Attributes:
        alpha: Amplification.
        sampling: Sampling settings with a seed of 0.
        seed: The caller's seed, if any.
        max_tokens: Upper bound on sampled tokens.
        stop: Stop strings.
        choices: How many completions.
        top_logprobs: Alternatives a step; None for no log-probabilities at all.
        parallel_tools: False keeps only the first tool call of a completion.
        evidence: How much evidence to record.
        render: How the conversation becomes text.
        placebo: Whether amplification is given to other tokens, as a control.
        support: From how many of the ids most likely under `after` to draw; 0 is all.
        nets: What holds amplification back.
        also: Other alphas at which every drawn token is measured.
        calibrated: Whether alpha is that of a calibration; until it is read, 0 stands
            for it.
        score: The string to teacher-force instead of sampling, if asked.
    """

    alpha: float
    sampling: Sampling
    seed: int | None
    max_tokens: int
    stop: tuple[str, ...]
    choices: int
    top_logprobs: int | None
    parallel_tools: bool
    evidence: EvidenceLevel
    render: RenderForm
    placebo: bool
    support: int
    nets: Nets
    also: tuple[float, ...]
    calibrated: bool
    score: ScoreOptions | None

    def sampling_of(self, choice: int) -> Sampling:
        """The sampling of one choice, with a stream of its own."""
        fields = {**vars(self.sampling), "seed": choice_seed(self.seed, choice)}
        return Sampling(**fields)


def read_config(config: GenerateConfig, options: ModelOptions) -> Settings:
    """Validate a config against what an engine can do.

    Raises:
        LDAError: If a set field is unsupported or its value is out of range.
    """
    _refuse_unsupported(config)
    request = read_request(config.extra_body)
    score = request.scoring()
    alpha, calibrated = options.alpha_of(request.alpha)
    sampling = Sampling(
        temperature=_temperature(config),
        top_k=int(_within("top_k", config.top_k, 0, 0, math.inf)),
        top_p=_within("top_p", config.top_p, 1.0, 0, 1, open_low=True),
        min_p=request.min_p,
        frequency_penalty=_within(
            "frequency_penalty", config.frequency_penalty, 0.0, -2, 2
        ),
        presence_penalty=_within(
            "presence_penalty", config.presence_penalty, 0.0, -2, 2
        ),
        logit_bias=_logit_bias(config),
    )
    _refuse_truncated(score, sampling)
    seed = config.seed
    return Settings(
        alpha=alpha,
        sampling=sampling,
        seed=None if seed is None else int(_within("seed", seed, 0, 0, MAX_SEED)),
        max_tokens=int(
            _within("max_tokens", config.max_tokens, DEFAULT_MAX_TOKENS, 1, math.inf)
        ),
        stop=_stop(config),
        choices=int(_within("num_choices", config.num_choices, 1, 1, math.inf)),
        top_logprobs=_top_logprobs(config),
        parallel_tools=config.parallel_tool_calls is not False,
        evidence=request.evidence or options.evidence,
        render=request.render or "chat",
        placebo=request.placebo,
        calibrated=calibrated,
        support=options.support_size if request.support is None else request.support,
        nets=request.nets(options.nets()),
        also=request.measured_at(options.also, sampling.temperature),
        score=score,
    )


def _refuse_unsupported(config: GenerateConfig) -> None:
    known = HONOURED | INSPECTS_OWN
    refused = [
        name
        for name in type(config).model_fields
        if name not in known and getattr(config, name) is not None
    ]
    if refused:
        values = ", ".join(f"{name}={getattr(config, name)!r}" for name in refused)
        raise LDAError(
            f"GenerateConfig {values}: the lda provider cannot honour "
            f"{'it' if len(refused) == 1 else 'them'}. Leave it unset; honoured are "
            f"{', '.join(sorted(HONOURED))}"
        )


def _within(
    name: str,
    value: float | None,
    default: float,
    low: float,
    high: float,
    *,
    open_low: bool = False,
) -> float:
    if value is None:
        return default
    inside = low < value <= high if open_low else low <= value <= high
    if inside and not math.isinf(value):
        return value
    above = f"{'above' if open_low else 'from'} {low:g}"
    limit = "" if math.isinf(high) else f" to {high:.20g}"
    raise LDAError(f"{name}={value!r} is out of range. Allowed: {above}{limit}")


def _temperature(config: GenerateConfig) -> float:
    value = config.temperature
    if not value:
        return 1.0 if value is None else 0.0
    low, high = TEMPERATURES
    if not low <= value <= high:
        raise LDAError(
            f"temperature={value!r} is out of range. Allowed: 0 (the most likely "
            f"token), or from {low:g} to {high:g}"
        )
    return value


def _logit_bias(config: GenerateConfig) -> dict[int, float]:
    bias = dict(config.logit_bias or {})
    for token, value in bias.items():
        if token < 0:
            raise LDAError(f"logit_bias token id {token} is negative. Allowed: from 0")
        _within(f"logit_bias[{token}]", value, 0.0, -100, 100)
    return bias


def _stop(config: GenerateConfig) -> tuple[str, ...]:
    stop = tuple(config.stop_seqs or ())
    if "" in stop:
        raise LDAError("stop_seqs holds an empty string. Allowed: non-empty strings")
    return stop


def _top_logprobs(config: GenerateConfig) -> int | None:
    if config.top_logprobs is not None and not config.logprobs:
        raise LDAError(
            f"top_logprobs={config.top_logprobs} needs logprobs=True (--logprobs)"
        )
    if not config.logprobs:
        return None
    return int(_within("top_logprobs", config.top_logprobs, 0, 0, MAX_TOP_LOGPROBS))


def _refuse_truncated(score: ScoreOptions | None, sampling: Sampling) -> None:
    """A truncated distribution would give the string another probability."""
    if score is None:
        return
    neutral = Sampling(temperature=sampling.temperature, seed=sampling.seed)
    plain, own = vars(neutral), vars(sampling)
    changed = [name for name in plain if own[name] != plain[name]]
    if changed:
        raise LDAError(
            f'extra_body["lda"]["score"] with {", ".join(changed)} set: the '
            "probability of a string is taken under the whole distribution. Pass the "
            "neutral values with the request: top_p=1, top_k=0, min_p=0, penalties 0, "
            "no logit_bias"
        )
