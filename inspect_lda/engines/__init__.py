"""Engines: anything that can run a checkpoint pair as one causal language model.

Providers that differ in alpha alone (another `-M alpha=`, another role) share one
engine, so that their requests are batched together and the weights are held once.
"""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspect_lda.engines.base import Engine
from inspect_lda.errors import LDAError, nearest

if TYPE_CHECKING:
    from inspect_lda.pair import PairSpec

ENGINES = ("transformers",)
"""Names allowed for `-M engine=`."""

PLANNED_ENGINES = ("api", "vllm")


@dataclass
class _Shared:
    engine: Engine
    users: int


_shared: dict[tuple[str, "PairSpec", int, float], _Shared] = {}
_lock = threading.Lock()


def check_engine(name: str) -> str:
    """Return the name if this version has the engine.

    Raises:
        LDAError: If it has not.
    """
    if name in ENGINES:
        return name
    if name in PLANNED_ENGINES:
        raise LDAError(
            f"engine='{name}' is not available in this version; "
            f"allowed: {', '.join(ENGINES)}"
        )
    raise LDAError(f"engine='{name}' is unknown; {nearest(name, ENGINES)}")


def create_engine(
    name: str, spec: "PairSpec", *, max_batch: int, memory_fraction: float
) -> Engine:
    """Build a new engine; cheap, the weights are loaded by its first request.

    Raises:
        LDAError: If the engine is unknown or its packages are not installed.
    """
    check_engine(name)
    try:
        from inspect_lda.engines.transformers import TransformersEngine
        from inspect_lda.engines.weights import WeightsEngine
    except ModuleNotFoundError as error:
        raise LDAError(
            f"engine='{name}' needs the package '{error.name}', which is not "
            "installed. Install it with: pip install 'inspect_lda[transformers]'"
        ) from error
    engine = WeightsEngine if spec.amplify == "weights" else TransformersEngine
    return engine(spec, max_batch=max_batch, memory_fraction=memory_fraction)


def acquire_engine(
    name: str, spec: "PairSpec", *, max_batch: int, memory_fraction: float
) -> Engine:
    """The process's engine for this pair; every call needs one `release_engine`."""
    key = (name, spec, max_batch, memory_fraction)
    with _lock:
        if key not in _shared:
            engine = create_engine(
                name, spec, max_batch=max_batch, memory_fraction=memory_fraction
            )
            _shared[key] = _Shared(engine, 0)
        _shared[key].users += 1
        return _shared[key].engine


def release_engine(engine: Engine) -> None:
    """Give an acquired engine back; the last user closes it."""
    with _lock:
        key = next((k for k, v in _shared.items() if v.engine is engine), None)
        if key is None:
            return
        _shared[key].users -= 1
        if _shared[key].users > 0:
            return
        del _shared[key]
    engine.close()
