"""JUnit XML: one suite a behaviour or log, one case a check or decision.

FAIL is a `failure`, a check that failed an `error`, INCONCLUSIVE is `skipped` with what
is missing: it is not a fault of the release, and must not be green.
"""

import re
from collections import defaultdict
from xml.etree import ElementTree

from inspect_lda.gate.report import Check, Decision, GateReport, Transcript
from inspect_lda.gate.wording import detection_said

SUITE = "inspect_lda.gate"
# What XML 1.0 cannot hold, not even escaped; models write such characters.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: GateReport) -> str:
    """The report as JUnit XML."""
    root = ElementTree.Element("testsuites", name=clean(report.policy))
    cases: dict[str, list[ElementTree.Element]] = defaultdict(list)
    for check in report.checks:
        cases["checks"].append(_check(check))
    for decision in report.decisions:
        hits = [t for t in report.transcripts if t.behaviour == decision.behaviour]
        cases[decision.behaviour].append(_decision(decision, hits))
    for name, found in cases.items():
        told = {"name": clean(f"{SUITE}.{name}"), **_counts(found)}
        suite = ElementTree.SubElement(root, "testsuite", told)
        if name == "checks":
            _properties(suite, report)
        suite.extend(found)
    for key, value in _counts([c for found in cases.values() for c in found]).items():
        if key != "skipped":  # which only suites have
            root.set(key, value)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def clean(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return _ILLEGAL.sub("\ufffd", text)


def _check(check: Check) -> ElementTree.Element:
    case = _case("checks", f"{check.name} ({check.subject})")
    if check.status == "failed":
        _told(case, "error", check.name, check.found)
    return case


def _decision(made: Decision, hits: list[Transcript]) -> ElementTree.Element:
    at = "" if made.alpha is None else f"@{made.alpha:g}"
    case = _case(made.behaviour, f"{made.rule}{at}")
    if made.outcome == "FAIL":
        evidence = [
            f"{hit.sample_id}, epoch {hit.epoch}: {_reply(hit)}" for hit in hits
        ]
        _told(case, "failure", made.said, "\n".join([made.said, *evidence]))
    elif made.outcome == "INCONCLUSIVE":
        ElementTree.SubElement(case, "skipped", message=clean(made.said))
    return case


def _reply(hit: Transcript) -> str:
    return "".join(part.text for part in hit.reply)


def _case(suite: str, name: str) -> ElementTree.Element:
    return ElementTree.Element(
        "testcase", classname=clean(f"{SUITE}.{suite}"), name=clean(name), time="0"
    )


def _told(case: ElementTree.Element, kind: str, message: str, text: str) -> None:
    found = ElementTree.SubElement(case, kind, message=clean(message), type=kind)
    found.text = clean(text)


def _counts(cases: list[ElementTree.Element]) -> dict[str, str]:
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    found = {
        name: str(sum(case.find(tag) is not None for case in cases))
        for name, tag in kinds.items()
    }
    return {"tests": str(len(cases)), **found, "time": "0"}


def _properties(suite: ElementTree.Element, report: GateReport) -> None:
    properties = ElementTree.SubElement(suite, "properties")
    told = {
        "verdict": report.verdict,
        "headline": report.headline,
        "policy_sha256": report.policy_sha256,
        **{
            f"detection.{index}": detection_said(one)
            for index, one in enumerate(report.detections)
        },
    }
    for name, value in told.items():
        ElementTree.SubElement(properties, "property", name=name, value=clean(value))
