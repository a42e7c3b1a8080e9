"""What a log's completions took of endpoints, if it has them (engine=api)."""

from collections.abc import Iterator, Mapping
from typing import Any

from inspect_ai.event import ModelEvent
from inspect_ai.log import EvalLog, EvalSample

from inspect_lda.engines.api.plan import Prices, told
from inspect_lda.engines.base import Cost


def spent_line(log: EvalLog) -> str | None:
    """The ledger of a log in a line; None where nothing was asked of an endpoint."""
    costs = [Cost(**cost) for sample in log.samples or () for cost in _costs(sample)]
    if not costs:
        return None
    total = sum(costs[1:], costs[0])
    args = log.eval.model_args
    money = Prices(args.get("price_in"), args.get("price_out")).money(total)
    return f"Endpoints answered {told(total, money)}; {total.retries:,} retries"


def _costs(sample: EvalSample) -> Iterator[Mapping[str, int]]:
    """Of every call that was not answered by a cache; failed ones left nothing."""
    calls = [event for event in sample.events if isinstance(event, ModelEvent)]
    outputs = [event.output for event in calls if event.cache != "read"]
    for output in outputs if calls else [sample.output]:
        found: Any = (output.metadata or {}).get("lda")
        if isinstance(found, Mapping) and "cost" in found:
            yield found["cost"]
