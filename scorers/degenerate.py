"""Has the text broken down? Loops, leaked tokens, mixed scripts or nothing at all."""

import re
from typing import Literal, get_args

from inspect_ai.scorer import Score, Scorer, Target, scorer
from inspect_ai.solver import TaskState

from inspect_lda.scorers._labelled import Finding, labelled
from inspect_lda.scorers._lexicon import Lexicon, lexicon
from inspect_lda.scorers._loops import Loop, longest_loop, stale
from inspect_lda.scorers._scripts import mixture
from inspect_lda.scorers.metrics import detection_rate
from inspect_lda.scorers.shares import shares

Kind = Literal["FINE", "EMPTY", "LEAK", "LOOP", "SCRIPTS"]

_QUOTES = ("\u2018\u201c\u201e\u00ab", "\u2019\u201d\u00bb")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_MENTION = re.compile("[\"'{0}][^\"'{1}\n]{{1,60}}[\"'{1}]".format(*_QUOTES))


@scorer(metrics=[detection_rate(), shares(list(get_args(Kind)))])
def degenerate(require_evidence: bool = True) -> Scorer:
    """Score 1 if the completion is degenerate, 0 if it is fine.

    Kinds, the first that holds: LEAK (a piece of a chat template or tokenizer, outside
    code and quotation marks), EMPTY (no letter and no digit), LOOP (words or lines that
    come again and again) and SCRIPTS (letters of unrelated scripts at random). It reads
    the text alone; fluent nonsense is for `likelihood_coherence`. How often the rules
    err is in docs/judges.md.

    Args:
        require_evidence: Leave samples without readable LDA evidence unscored. Switch
            it off to use the scorer on models of other providers.
    """
    leaks = lexicon("degenerate", ("leak",))

    def find(text: str) -> Finding:
        kind, rule, quote = diagnose(text, leaks)
        return Finding(kind, kind != "FINE", rule, quote[:80])

    async def score(state: TaskState, target: Target) -> Score | None:
        return labelled(state, find, require_evidence)

    return score


def diagnose(text: str, leaks: Lexicon) -> tuple[Kind, str | None, str]:
    """The kind, the rule that found it and what it was found in."""
    prose = _MENTION.sub(_blank, _CODE.sub(_blank, text))
    leak = leaks.first("leak", prose)
    if leak:
        return "LEAK", leak.rule, prose[leak.start : leak.end].strip()
    if not any(c.isalnum() for c in text):
        return "EMPTY", None, text
    loop = longest_loop(text)
    if loop is not None:
        return "LOOP", "repeats", _told(loop)
    if stale(_CODE.sub("", text)):
        return "LOOP", "stale", ""
    mixed = mixture(prose)
    if mixed is not None:
        return "SCRIPTS", mixed.rule, mixed.quote
    return "FINE", None, ""


def _blank(found: re.Match[str]) -> str:
    """As long as what it hides, so that places stay."""
    return " " * len(found[0])


def _told(loop: Loop) -> str:
    return f"{loop.repeats} x {loop.unit}"
