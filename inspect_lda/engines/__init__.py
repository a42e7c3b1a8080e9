"""Engines: anything that can run a checkpoint pair as one causal language model.

Providers that differ in alpha alone (another `-M alpha=`, another role) share one
engine, so that their requests are batched together and the weights are held once.
"""

import atexit
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from inspect_lda.engines.base import Engine
from inspect_lda.errors import LDAError, nearest

if TYPE_CHECKING:
    from inspect_lda.engines.api.spec import ApiSpec
    from inspect_lda.engines.server.spec import ServerSpec
    from inspect_lda.pair import PairSpec

    Spec: TypeAlias = PairSpec | ApiSpec | ServerSpec

ENGINES = ("transformers", "vllm", "api")
"""Names allowed for `-M engine=`."""


@dataclass
class _Shared:
    engine: Engine
    users: int


_shared: dict[tuple[str, "Spec", tuple[tuple[str, Any], ...]], _Shared] = {}
_lock = threading.Lock()


def check_engine(name: str) -> str:
    """Return the name if this version has the engine.

    Raises:
        LDAError: If it has not.
    """
    if name in ENGINES:
        return name
    raise LDAError(f"engine='{name}' is unknown; {nearest(name, ENGINES)}")


def create_engine(name: str, spec: "Spec", **settings: Any) -> Engine:
    """Build a new engine; cheap, the weights are loaded by its first request.

    Args:
        name: One of `ENGINES`.
        spec: The pair, as that engine takes it.
        **settings: What else its constructor takes.

    Raises:
        LDAError: If the engine is unknown or its packages are not installed.
    """
    check_engine(name)
    build: Any
    try:
        if name in ("api", "vllm"):
            import openai  # noqa: F401 - so that it is missed here, not in a rollout
        if name == "api":
            from inspect_lda.engines.api.engine import ApiEngine as build
        elif name == "vllm":
            from inspect_lda.engines.server.engine import ServerEngine as build
        elif getattr(spec, "amplify", None) == "weights":
            from inspect_lda.engines.weights import WeightsEngine as build
        else:
            from inspect_lda.engines.transformers import TransformersEngine as build
    except ModuleNotFoundError as error:
        raise LDAError(
            f"engine='{name}' needs the package '{error.name}', which is not "
            f"installed. Install it with: pip install 'inspect_lda[{name}]'"
        ) from error
    engine: Engine = build(spec, **settings)
    return engine


def acquire_engine(name: str, spec: "Spec", **settings: Any) -> Engine:
    """The process's engine for this pair; every call needs one `release_engine`."""
    key = (name, spec, tuple(sorted(settings.items())))
    with _lock:
        if key not in _shared:
            _shared[key] = _Shared(create_engine(name, spec, **settings), 0)
        _shared[key].users += 1
        return _shared[key].engine


def close_engines() -> None:
    """Close every engine that is still held: an eval that failed gives none back.

    Called when the process ends: a thread that is inside torch then would abort it.
    """
    with _lock:
        held = [shared.engine for shared in _shared.values()]
        _shared.clear()
    for engine in held:
        engine.close()


atexit.register(close_engines)


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
