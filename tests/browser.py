"""Pages in a real browser: what it complains of, and what it asks the network for."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
DARK, LIGHT = 0, 1
"""Values of Blink's setting preferredColorScheme."""
_QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--hide-scrollbars --enable-logging=stderr"
)


class Opened(NamedTuple):
    """What happened as a page was opened.

    Attributes:
        console: Lines that the page, or the browser about it, wrote to the console.
        asked: Addresses that were asked for, the browser's own business included.
        screenshot: The picture.
    """

    console: list[str]
    asked: set[str]
    screenshot: Path


def opened(page: Path, folder: Path, scheme: int = LIGHT, height: int = 3000) -> Opened:
    """Open a page from its file in a browser that knows nothing yet."""
    net, picture = folder / "net.json", folder / f"{page.stem}-{scheme}.png"
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            *_QUIET.split(),
            f"--user-data-dir={folder / 'profile'}",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--window-size=1000,{height}",
            f"--log-net-log={net}",
            f"--screenshot={picture}",
            page.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    events = json.loads(net.read_text("utf-8"))["events"]
    asked = {str(e["params"]["url"]) for e in events if "url" in e.get("params", {})}
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Opened(console, asked, picture)
