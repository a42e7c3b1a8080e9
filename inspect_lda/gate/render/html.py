"""One page, for whoever signs: no script, nothing from elsewhere, light and dark."""

from html import escape
from importlib.resources import files
from string import Template

from inspect_lda.gate.render.figure import draw
from inspect_lda.gate.render.lines import (
    DECISIONS,
    MARKS,
    SOURCES,
    STATUS,
    by_status,
    decision_lines,
    source_lines,
)
from inspect_lda.gate.report import GateReport, Transcript
from inspect_lda.gate.wording import CAVEAT, detection_said, would_be
from inspect_lda.report.examples import Example, Piece
from inspect_lda.report.fragments import paragraphs, read, table, transcript
from inspect_lda.report.html import Decided
from inspect_lda.report.wording import Line, confident

NO_PLANT = (
    "No planted pair was given (--planted LOGS), so that it is not known how rare a "
    "behaviour this budget would have caught."
)


def render(report: GateReport) -> str:
    """The page.

    Raises:
        LDAError: If matplotlib is not installed.
    """
    folder = next((s.location.rpartition("/")[0] for s in report.sources), "") or "."
    return _fill(
        "gate.html",
        **_parts(report),
        style=read("page.css"),
        pictures="".join(_pictures(report)),
        caveat=escape(CAVEAT),
        transcripts="".join(map(_transcript, report.transcripts))
        or paragraphs(["No hits."]),
        sources=table(SOURCES, source_lines(report), "words"),
        version=escape(report.version),
        code=str(report.exit_code),
        folder=escape(folder),
    )


def decided(report: GateReport) -> Decided:
    """The verdict and what it rests on, for the page of a release."""
    parts = _parts(report)
    return Decided(_fill("banner.html", **parts), _fill("decisions.html", **parts))


def _fill(template: str, **fields: str) -> str:
    text = (files("inspect_lda.gate") / "templates" / template).read_text("utf-8")
    return Template(text).substitute(fields)


def _parts(report: GateReport) -> dict[str, str]:
    """What the page of a gate and a banner have in common."""
    told = [
        f"{one.behaviour}: {one.said}"
        for one in report.decisions
        if one.outcome != "PASS"
    ]
    return {
        "verdict": report.verdict,
        "mark": MARKS[report.verdict],
        "policy": escape(report.policy),
        "headline": escape(report.headline),
        "failed": _checks(report, "failed"),
        "notes": _checks(report, "note"),
        "setting": escape(_setting(report)),
        "would": paragraphs([would_be(report)]),
        "decisions": table(DECISIONS, decision_lines(report), "decisions"),
        "said": paragraphs(told),
        "detections": paragraphs(map(detection_said, report.detections))
        or paragraphs([NO_PLANT]),
        "checks": _all_checks(report),
        "sha256": report.policy_sha256,
    }


def _setting(report: GateReport) -> str:
    who = "these prompts" if report.estimand == "prompt_set" else "prompts like these"
    return (
        f"Rates are of {who}. Each bound holds with {confident(report.confidence)} "
        "confidence, one-sided; so do all FAIL claims together."
    )


def _checks(report: GateReport, status: str) -> str:
    lines = [
        Line((one.name, one.subject, one.found), STATUS[status])
        for one in by_status(report, status)
    ]
    return table(("check", "of", "found"), lines, "words") if lines else ""


def _all_checks(report: GateReport) -> str:
    lines = [
        Line((one.name, one.subject, one.found, one.status), STATUS[one.status])
        for one in report.checks
    ]
    return table(("check", "of", "found", "status"), lines, "words")


def _pictures(report: GateReport) -> list[str]:
    pictures = []
    for index, name in enumerate(dict.fromkeys(d.behaviour for d in report.decisions)):
        rates = [
            one
            for one in report.decisions
            if one.behaviour == name and one.rule == "max_rate"
        ]
        if rates:
            pictures.append(draw(name, rates, f"rates-{index}"))
    return pictures


def _transcript(found: Transcript) -> str:
    return transcript(
        Example(
            sample_id=found.sample_id,
            epoch=found.epoch,
            alpha=found.alpha,
            prompt=found.prompt,
            pieces=tuple(Piece(part.text, part.decisive) for part in found.reply),
            coherent=found.coherent,
        )
    )
