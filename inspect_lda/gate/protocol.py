"""How a log was run: logs that are one experiment, or are compared, were run alike."""

from collections.abc import Sequence
from typing import Any

from inspect_ai.log import EvalLog

from inspect_lda.gate.rollouts import LogData
from inspect_lda.naming import parse_name
from inspect_lda.net_options import NetOptions

_ASKED = ("temperature", "max_tokens", "prefill", "chat_template", "pattern")
_SAMPLING = (
    *("temperature", "top_p", "top_k", "max_tokens", "stop_seqs", "system_message"),
    *("frequency_penalty", "presence_penalty", "logit_bias", "extra_body"),
)
_ANYWHERE = {*NetOptions.model_fields, "support", "amplify", "placebo"}
"""Options of a model that say how it is amplified, whichever model it is."""
_SWEPT = {"alpha", "kl_budget"}
"""Those that may differ within one experiment."""


def prompts_of(log: LogData) -> str | None:
    """SHA-256 of the prompt set, as a task of ours records it."""
    record = (log.header.eval.metadata or {}).get("prompts")
    return str(record.get("sha256")) if isinstance(record, dict) else None


def partial(header: EvalLog) -> bool:
    """Whether --limit or --sample-id picked some of the samples."""
    config = header.eval.config
    return config.limit is not None or config.sample_id is not None


def differences(logs: Sequence[LogData], *, pair: bool = True) -> str:
    """In what logs differ that are to be one experiment; empty if in nothing.

    Args:
        logs: At least two.
        pair: Whether the pair must be one, too.
    """
    found = []
    asked = [_protocol(log, pair=pair) for log in logs]
    for name in asked[0]:
        values = {repr(one[name]) for one in asked}
        if len(values) > 1:
            found.append(f"{name} ({' / '.join(sorted(values))})")
    return ", ".join(found)


def comparable_version(version: str) -> str:
    """`1` of `1-B`."""
    return version.partition("-")[0]


def _protocol(log: LogData, *, pair: bool) -> dict[str, Any]:
    spec, sampling = log.header.eval, log.header.plan.config
    name, options = parse_name(log.model)
    kept = {
        key: value
        for key, value in sorted(options.items())
        if (key not in _SWEPT if pair else key in _ANYWHERE)
    }
    return {
        "task": log.task,
        # The letter behind it says that options changed, and scores still compare.
        "task version": comparable_version(str(spec.task_version)),
        "detector": log.detector,
        "prompts": prompts_of(log),
        "graders": sorted((role, sorted(m)) for role, m in log.graders.items()),
        **{name: spec.task_args.get(name) for name in _ASKED},
        **{f"--{name}": getattr(sampling, name) for name in _SAMPLING},
        "model options": kept,
        **({"model": name} if pair else {}),
    }
