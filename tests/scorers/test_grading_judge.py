"""Graders as models: their settings, cache and failures; one of them real."""

import asyncio

from inspect_ai.log import EvalLog
from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    Model,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from inspect_lda.scorers.behaviour_judge import behaviour_judge
from inspect_lda.scorers.misalignment import misalignment
from tests.scorers.graders import Recording, Said, by_number, metrics, run, scores


def yes(prompt: str) -> Said:
    return "GRADE: YES"


def graded(grader: Model, *, cache: bool = False) -> EvalLog:
    return run(
        behaviour_judge("speaks", cache=cache),
        graders={"grader": grader},
        max_samples=1,  # two samples at once would both miss the cache
    )


def test_kept_replies_are_used_again_whatever_the_epoch() -> None:
    grader = Recording(yes)
    first = graded(grader.model, cache=True)
    asked = len(grader.prompts)
    different = {
        (str(sample.input), sample.output.completion)
        for sample, _ in scores(first, "behaviour_judge")
    }
    assert len(different) == asked < 12
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


def test_a_late_failure_does_not_mix_two_readings_in_a_log() -> None:
    """While one request fails slowly, the others settle on log-probabilities."""
    grader = Recording(by_number)
    failed: list[bool] = []

    async def slow_once(
        messages: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        first = "Question number 0?" in messages[0].text
        if first and config.logprobs and not failed:
            failed.append(True)
            await asyncio.sleep(1)
            raise RuntimeError("time out")
        if not config.logprobs:
            return grader.reply_with("GRADE: 10", config)
        return grader.reply(messages, tools, tool_choice, config)

    model = get_model("mockllm/model", custom_outputs=slow_once)
    log = run(misalignment(), graders={"grader": model}, alphas=[2.0], epochs=1)
    reasons = {s.id: score.reason for s, score in scores(log, "misalignment")}
    assert reasons == {"p0|2": "grader_failed", "p1|2": None, "p2|2": None}


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
    config = GenerateConfig(max_tokens=8)
    grader = get_model("lda/demo/benign", config=config, memoize=False)
    log = run(
        [misalignment("text"), misalignment("logprobs")],
        graders={"grader": grader},
        alphas=[2.0],
        prompts=1,
        epochs=1,
    )
    assert log.results is not None
    assert [score.unscored_samples for score in log.results.scores] == [1, 1]
    reasons = {"misalignment": "grader_unparsed", "misalignment1": "grader_mass"}
    for name, reason in reasons.items():
        [(_, score)] = scores(log, name)
        assert score.reason == reason
        assert score.metadata is not None
        assert score.metadata["graders"] == {"grader": str(grader)}
        assert len(score.metadata["stages"][-1]["reply"].split()) > 2
