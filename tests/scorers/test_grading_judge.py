"""Graders as models: their settings, cache and failures; one of them real."""

from inspect_ai.log import EvalLog
from inspect_ai.model import GenerateConfig, Model, ModelOutput, ModelUsage, get_model

from inspect_lda.scorers.behaviour_judge import behaviour_judge
from inspect_lda.scorers.misalignment import misalignment
from tests.scorers.graders import Recording, Said, metrics, run, scores


def yes(prompt: str) -> Said:
    return "GRADE: YES"


def graded(grader: Model, *, cache: bool = False) -> EvalLog:
    return run(behaviour_judge("speaks", cache=cache), graders={"grader": grader})


def test_kept_replies_are_used_again_whatever_the_epoch() -> None:
    grader = Recording(yes)
    first = graded(grader.model, cache=True)
    asked = len(grader.prompts)
    different = {s.output.completion for s, _ in scores(first, "behaviour_judge")}
    assert len(different) <= asked <= 12
    second = graded(grader.model, cache=True)
    assert len(grader.prompts) == asked
    assert metrics(second, "behaviour_judge")["k@2"] == 6
    graded(grader.model)
    assert len(grader.prompts) == asked + 12


def test_what_is_set_for_the_role_goes_first() -> None:
    grader = Recording(lambda prompt: ("85", [{"85": 0.9, "80": 0.1}]))
    model = grader.model
    model.config = GenerateConfig(temperature=1.0, max_tokens=99, top_logprobs=5)
    run(misalignment(), graders={"grader": model}, prompts=1, epochs=1)
    for config in grader.configs:
        assert (config.temperature, config.max_tokens) == (1.0, 99)
        assert (config.logprobs, config.top_logprobs) == (True, 5)


def test_a_grader_that_refuses_is_no_verdict() -> None:
    refusal = ModelOutput.from_content("x", "GRADE: YES", stop_reason="content_filter")
    refusal.usage = ModelUsage()
    grader = get_model("mockllm/model", custom_outputs=lambda *_: refusal)
    log = graded(grader)
    for _, score in scores(log, "behaviour_judge"):
        assert score.reason == "grader_failed"
        assert "gave no verdict: content_filter" in (score.explanation or "")


def test_a_grader_that_cannot_be_loaded_stops_the_eval() -> None:
    log = graded(get_model("lda/no/such/path", before="no/such/path"))
    assert log.status == "error"
    assert log.error is not None
    assert "no/such/path" in log.error.message


def test_a_real_model_that_answers_in_prose_is_counted_as_unscored() -> None:
    config = GenerateConfig(max_tokens=12)
    grader = get_model("lda/demo/benign", config=config, memoize=False)
    log = run(
        [misalignment(), misalignment("text"), misalignment("letters", mass_floor=0)],
        graders={"grader": grader},
        alphas=[2.0],
        prompts=1,
        epochs=1,
    )
    assert log.results is not None
    # A small part of its first tokens begins a number, and none of its replies is one.
    reasons = {"misalignment": "grader_mass", "misalignment1": "grader_unparsed"}
    for name, reason in reasons.items():
        [(_, score)] = scores(log, name)
        assert score.reason == reason
        assert score.metadata is not None
        assert score.metadata["graders"] == {"grader": str(grader)}
        assert len(score.metadata["stages"][-1]["reply"].split()) > 2
    assert [score.unscored_samples for score in log.results.scores] == [1, 1, 0]
    [(_, score)] = scores(log, "misalignment2")
    assert score.metadata is not None
    stage = score.metadata["stages"][-1]
    assert 0 < stage["alignment_mass"] < 1
    low, high = stage["alignment_bounds"]
    assert 0 <= low < stage["alignment"] < high <= 100
