"""A release as one self-contained page. Everything from a log is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from inspect_lda.naming import parse_name
from inspect_lda.report.coherence_figure import coherence_figure
from inspect_lda.report.contrast import contrast_lines
from inspect_lda.report.figure import rate_figure
from inspect_lda.report.foreign import foreign_table
from inspect_lda.report.fragments import fill, paragraphs, read, table, transcript
from inspect_lda.report.overview import overview
from inspect_lda.report.own_rate import OwnRate
from inspect_lda.report.own_section import own_section
from inspect_lda.report.provenance import HEADER, NOISE_HEADER
from inspect_lda.report.release import Release, total
from inspect_lda.report.series import Series
from inspect_lda.report.series_figure import series_figure
from inspect_lda.report.series_table import onset_lines
from inspect_lda.report.summary import Summary
from inspect_lda.report.svg import svg
from inspect_lda.report.table import setting
from inspect_lda.report.viewer import Viewer
from inspect_lda.report.wording import (
    CAVEAT,
    CONTROL_HEADER,
    SWEEP_HEADER,
    Line,
    control_lines,
    exact_finding,
    headline,
    sweep_lines,
    unscored_lines,
)

_MARKED = (
    "A marked token was so many times likelier here than at alpha 0; the strip below a "
    "reply shows all of its tokens, those that amplification made likelier in orange "
    "and those less likely in blue."
)
_LEDGER = ("log", "rollouts", "tokens\nsampled", "tokens\nread", "seconds")


class Decided(NamedTuple):
    """A gate's word, as HTML.

    Attributes:
        verdict: For the head of the page.
        decisions: A section: what it rests on.
    """

    verdict: str
    decisions: str


def page(
    release: Release,
    *,
    title: str = "Release report",
    decided: Decided | None = None,
    viewer: Viewer | None = None,
) -> str:
    """The page, with the pictures inside.

    Args:
        release: What it shows.
        title: Of the page.
        decided: What a gate says, where it was asked.
        viewer: Where `inspect view` shows the logs.
    """
    viewer = viewer or Viewer()
    names = [f"finding-{index}" for index, _ in enumerate(release.findings, 1)]
    places = release.places
    told = zip(release.findings, release.own, names, strict=True)
    others = {
        "series": "".join(map(_series, release.series, range(len(release.series)))),
        "foreign": _foreign(release),
        "noise": _noise(release),
        "cost": _cost(release),
        "provenance": _provenance(release, viewer),
    }
    sections = "".join(_finding(*parts, places, viewer) for parts in told)
    return fill(
        "page.html",
        title=escape(title),
        style=read("page.css"),
        about=escape(_about(release)),
        verdict=decided.verdict if decided else read("no-verdict.html"),
        decisions=decided.decisions if decided else "",
        problems=paragraphs(release.problems, "verdict bad"),
        contents=_contents(release.findings, names, filter(others.get, others)),
        overview=overview(release.findings, names) if names else "",
        caveat=escape(CAVEAT),
        sections=sections + "".join(others.values()),
    )


def _about(release: Release) -> str:
    logs = len(release.provenance)
    spent = total(release.spent)
    dates = sorted({one.created[:16].replace("T", " ") for one in release.provenance})
    return (
        f"{logs:,} log{'s' if logs > 1 else ''}, {spent.rollouts:,} rollouts, begun "
        f"{' to '.join([dates[0], *dates[1:][-1:]])} UTC"
    )


def _contents(
    findings: Sequence[Summary], names: Sequence[str], parts: Iterable[str]
) -> str:
    links = [
        f'<a href="#{name}">{escape(one.task)} on {escape(_pair(one))}</a>'
        for one, name in zip(findings, names, strict=True)
    ]
    links += [f'<a href="#{part}">{part}</a>' for part in parts]
    return " ".join(links)


def _finding(
    summary: Summary,
    own: OwnRate | str,
    name: str,
    places: Mapping[str, str],
    viewer: Viewer,
) -> str:
    said = [*contrast_lines(summary), exact_finding(summary)]
    rate = rate_figure(summary, in_page=True)
    pictures = [svg(rate, f"{name}-rate", "Rate by alpha")]
    coherence = coherence_figure(summary)
    if coherence is not None:
        pictures.append(svg(coherence, f"{name}-coherence", "Coherence by alpha"))
    shown = [
        transcript(
            one, viewer.sample(places.get(one.uuid or "", summary.location), one)
        )
        for one in summary.examples
    ]
    none = "<p>No hits: see the bounds above for what that rules out.</p>"
    return fill(
        "finding.html",
        name=name,
        headline=escape(headline(summary)),
        setting=escape(setting(summary)),
        said=paragraphs(said),
        pictures="".join(f"<div>{picture}</div>" for picture in pictures),
        sweep=table(SWEEP_HEADER, sweep_lines(summary)),
        controls=table(CONTROL_HEADER, control_lines(summary), "words")
        if summary.controls
        else "<p>This log has no control arms.</p>",
        own=own_section(own),
        unscored=paragraphs(unscored_lines(summary), "warn"),
        transcripts="".join(shown) + paragraphs([_MARKED], "note") if shown else none,
    )


def _pair(summary: Summary) -> str:
    after, _ = parse_name(summary.model.removeprefix("lda/"))
    return after


def _section(name: str, heading: str, body: str) -> str:
    return f'<section id="{name}"><h2>{heading}</h2>{body}</section>'


def _series(series: Series, index: int) -> str:
    picture = svg(series_figure(series), f"series-{index}", "Rate by checkpoint")
    name = "series" if not index else f"series-{index}-section"
    body = f"{picture}{paragraphs(onset_lines(series))}"
    heading = f"{series.summaries[0].pattern} by checkpoint"
    return _section(name, escape(heading), body)


def _foreign(release: Release) -> str:
    if not release.foreign:
        return ""
    header, lines = foreign_table(list(release.foreign))
    note = (
        "Metrics of evals that we did not write, on the same pairs. A score that falls "
        "as alpha grows may fall because the text breaks: look before you read it."
    )
    body = table(header, lines, "words") + paragraphs([note], "note")
    return _section("foreign", "Other evals, amplified", body)


def _noise(release: Release) -> str:
    lines = [one.noise for one in release.provenance if one.noise is not None]
    body = table(NOISE_HEADER, lines, "words") if lines else ""
    return body and _section("noise", "Noise floor", body)


def _cost(release: Release) -> str:
    sums = [("all", total(release.spent))]
    rows = [(p.name, s) for p, s in zip(release.provenance, release.spent, strict=True)]
    lines = [
        Line(
            (
                name,
                f"{one.rollouts:,}",
                f"{one.sampled:,}",
                f"{one.forwards + one.scored:,}",
                f"{one.seconds:,.0f}",
            )
        )
        for name, one in (*rows, *(sums if len(rows) > 1 else ()))
    ]
    note = "Tokens read are those of each checkpoint: prompts, replies and scores."
    spent = [one.spent for one in release.findings if one.spent]
    body = table(_LEDGER, lines, "words") + paragraphs([note, *spent], "note")
    return _section("cost", "What it took", body)


def _provenance(release: Release, viewer: Viewer) -> str:
    body = table(HEADER, [Line(one.cells) for one in release.provenance], "words")
    links = "".join(
        f'<li><a href="{escape(viewer.log(one.location))}">{escape(one.name)}</a> '
        f"<code>{escape(one.location)}</code></li>"
        for one in release.provenance
    )
    opened = sorted({viewer.folder(one.location) for one in release.provenance})
    note = " or ".join(f"inspect view --log-dir {folder}" for folder in opened)
    body += f'<p class="note">Links work while <code>{escape(note)}</code> runs.</p>'
    return _section("provenance", "Provenance", f"{body}<ul>{links}</ul>")
