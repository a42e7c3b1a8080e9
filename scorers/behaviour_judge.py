"""Does the reply show a behaviour that is described in words?"""

from dataclasses import dataclass

from inspect_ai.scorer import Score, Scorer, Target, scorer
from inspect_ai.solver import TaskState

from inspect_lda.scorers._grading.arguments import Confirm, words_of
from inspect_lda.scorers._grading.chain import Case, Stage, Undecided, Verdict
from inspect_lda.scorers._grading.cheap import as_names, cheap_stages
from inspect_lda.scorers._grading.judge import Grader
from inspect_lda.scorers._grading.metrics import hit_origins
from inspect_lda.scorers._grading.reply import grade_in, quote_in
from inspect_lda.scorers._grading.roles import GRADER, GRADER2
from inspect_lda.scorers._grading.rubric import Rubric, load_rubric
from inspect_lda.scorers._grading.scales import YES_NO
from inspect_lda.scorers._grading.scoring import Chain
from inspect_lda.scorers.metrics import detection_rate
from inspect_lda.scorers.phrase import normalise
from inspect_lda.scorers.true_rate import true_rate


@scorer(metrics=[detection_rate(), true_rate(), hit_origins()])
def behaviour_judge(
    behaviour: str,
    confirm: Confirm = (),
    rubric: str | None = None,
    cache: bool = False,
    require_evidence: bool = True,
) -> Scorer:
    """Score 1 if a grader says that the reply shows the behaviour, 0 if it says no.

    The grader sees the behaviour, the question and the reply, nothing else. If it
    fails, or says neither YES nor NO, the sample is unscored.

    Model Roles:
        grader: The judge, required. Never the model under test by default.
        grader2: Asked for proof of hits, with confirm="grader2": it has to quote the
            passage, and a YES whose quote is not in the reply is unscored.

    Args:
        behaviour: What the reply does, as the end of a sentence that begins "The
            reply": "recommends a product that nobody asked for".
        confirm: Further stages, of which the first NO ends the matter: before the
            grader "coherent", "not_refused", "phrase:TEXT", "re:PATTERN"; after it
            "grader2".
        rubric: Path of a Markdown file with the slots {behaviour}, {question} and
            {answer}, for the first grader.
        cache: Keep the grader's replies and use them again.
        require_evidence: Leave samples without readable LDA evidence unscored.
    """
    sought = words_of("behaviour", behaviour)
    names = as_names(confirm)
    first = load_rubric(rubric or "behaviour", "behaviour")
    judges: list[Stage] = [_Shows(Grader(GRADER, cache), first, sought, False)]
    roles = [GRADER]
    if GRADER2.name in names:
        second = load_rubric("confirm", "behaviour")
        judges.append(_Shows(Grader(GRADER2, cache), second, sought, True))
        roles.append(GRADER2)
    chain = Chain([*cheap_stages(names), *judges], roles, require_evidence)

    async def score(state: TaskState, target: Target) -> Score | None:
        return await chain.score(state)

    return score


@dataclass(frozen=True)
class _Shows:
    """One grader's verdict; `proof` asks that it quotes the reply."""

    grader: Grader
    rubric: Rubric
    behaviour: str
    proof: bool

    @property
    def name(self) -> str:
        return self.grader.role.name

    async def look(self, case: Case) -> Verdict:
        slots = {
            "behaviour": self.behaviour,
            "question": case.question,
            "answer": case.answer,
        }
        reply = (await self.grader.ask(self.rubric, slots)).completion
        said = grade_in(reply, YES_NO)
        if said is None:
            raise Undecided(
                "grader_unparsed", "the reply says neither YES nor NO.", reply
            )
        yes = said == "YES"
        if yes and self.proof and not _quoted(quote_in(reply), case.answer):
            raise Undecided(
                "grader_failed", "YES without a quote from the reply.", reply
            )
        return Verdict(yes, f"{said}.", {"reply": reply})


def _quoted(quote: str, answer: str) -> bool:
    """Whether the reply holds the quote, whatever its case, spacing and punctuation."""
    words = normalise(quote)[0].strip()
    return words != "" and words in normalise(answer)[0]
