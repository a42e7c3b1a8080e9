"""Where the numbers of a log come from: what would have to be the same to see them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.log import EvalLog

from inspect_lda.calibration.result import NoiseRecord, honest_text
from inspect_lda.naming import parse_name
from inspect_lda.report.wording import Line

HEADER = ("log", "pair", "computed by", "prompts", "sampling", "code")
NOISE_HEADER = (
    "log",
    "self-test",
    "noise a token\n(total variation)",
    "largest\nhonest alpha",
    "largest alpha\nasked",
    "reading",
)
_UNKNOWN = "not in the log"


@dataclass(frozen=True)
class Provenance:
    """What a log says of itself.

    Attributes:
        name: Task and pair, to tell logs of one page apart.
        location: Where the log is.
        created: When it was begun.
        cells: Its line under `HEADER`.
        noise: Its line under `NOISE_HEADER`; None without rollouts.
    """

    name: str
    location: str
    created: str
    cells: tuple[str, ...]
    noise: Line | None


def provenance_of(log: EvalLog) -> Provenance:
    """Read what is told by header and rollouts; what is not told is said to be so."""
    spec = log.eval
    outputs = [sample.output for sample in log.samples or []]
    told = [(one.metadata or {}).get("lda") or {} for one in outputs]
    told = [one for one in told if one]
    after, _ = parse_name(spec.model.partition("/")[2])
    name = f"{spec.task.rpartition('/')[2]} on {after}"
    cells = (
        name,
        _pair(spec.model, told),
        _engine(told),
        _prompts(spec.metadata or {}, spec.dataset.name, len(log.samples or [])),
        _sampling(log, told),
        _code(log),
    )
    return Provenance(name, log.location, log.eval.created, cells, _noise(name, told))


def _pair(model: str, told: list[dict[str, Any]]) -> str:
    sides = Counter((one.get("after"), one.get("before")) for one in told)
    if not sides:
        return model
    (after, before), _ = sides.most_common(1)[0]
    return f"{model}: {after} after, {before} before"


def _engine(told: list[dict[str, Any]]) -> str:
    evidence = [item for one in told for item in one.get("evidence", [])]
    kinds = {
        "engine": sorted({str(one.get("engine")) for one in told}),
        "precision": sorted({str(item.get("precision")) for item in evidence}),
        "amplified": sorted({str(one.get("amplify", "logits")) for one in told}),
    }
    found = [f"{key} {', '.join(values)}" for key, values in kinds.items() if values]
    return "; ".join(found) or _UNKNOWN


def _prompts(metadata: dict[str, Any], dataset: str | None, samples: int) -> str:
    record = metadata.get("prompts")
    if not isinstance(record, dict):
        return f"{dataset or _UNKNOWN}, {samples:,} samples"
    revision = record.get("revision")
    pinned = f" at {revision}" if revision else ""
    return (
        f"{record.get('spec')}{pinned}, sha256 {str(record.get('sha256'))[:12]}, "
        f"{samples:,} samples"
    )


def _sampling(log: EvalLog, told: list[dict[str, Any]]) -> str:
    args, config = log.eval.task_args, log.eval.model_generate_config
    seeds = {item.get("seed") for one in told for item in one.get("evidence", [])}
    heats = sorted(
        {item.get("temperature") for one in told for item in one.get("evidence", [])}
    )
    limit = args.get("max_tokens", config.max_tokens)
    base = f"seed {args['seed']}, " if "seed" in args else ""
    heat = ", ".join(f"T={heat:g}" for heat in heats)
    return f"{base}{len(seeds):,} streams, {heat or _UNKNOWN}, max_tokens {limit}"


def _code(log: EvalLog) -> str:
    spec = log.eval
    packages = [f"{name} {version}" for name, version in spec.packages.items()]
    task = f"task version {spec.task_version}"
    revision = spec.revision
    if revision is None:
        return ", ".join([task, *packages])
    dirty = " (dirty)" if revision.dirty else ""
    return ", ".join([task, *packages, f"commit {revision.commit}{dirty}"])


def _noise(name: str, told: list[dict[str, Any]]) -> Line | None:
    """The self-test's word on the pair, and what was asked of it."""
    found = [
        (float(one.get("alpha", 0.0)), one["noise"]) for one in told if "noise" in one
    ]
    if not found:
        return None
    records = [NoiseRecord.model_validate(record) for _, record in found]
    asked = max(alpha for alpha, _ in found)
    noise = max(
        (one.noise_tv for one in records if one.noise_tv is not None), default=None
    )
    tests = sorted({str(one.self_test or "none") for one in records})
    cells = (
        name,
        ", ".join(tests),
        "-" if noise is None else f"{noise:.1e}",
        honest_text(records[0].honest_alpha) if records[0].self_test else "-",
        f"{asked:g}",
    )
    reading, mark = _reading(records)
    return Line((*cells, reading), mark)


def _reading(records: Sequence[NoiseRecord]) -> tuple[str, str]:
    if any(one.passed is False for one in records):
        return "the self-test FAILED: build nothing on this log", "bad"
    if any(one.honest is False for one in records):
        return "beyond it: rounding is amplified too", "bad"
    if any(one.self_test is None for one in records):
        return "not measured", "warn"
    return "below what rounding blurs", "good"
