"""A real browser opens the report without a network, shows it, and prints it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(
    not BROWSER, reason="no Chromium or Chrome is installed: the report is not opened in one"
)
QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")


def browse(page: Path, folder: Path, *options: str) -> str:
    """Open a page with no name resolved; what the browser prints."""
    line = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND", *QUIET]
    line += [f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=300).stdout


def requested(page: Path, folder: Path) -> list[str]:
    """The addresses on the network that a page asked for."""
    log = folder / "net.json"
    browse(page, folder, f"--log-net-log={log}", f"--print-to-pdf={folder / 'printed.pdf'}", "--no-pdf-header-footer")
    urls = {event.get("params", {}).get("url", "") for event in json.loads(log.read_text())["events"]}
    return sorted(url for url in urls if "example.org" in url or url.startswith("http://127.0.0.1"))


def test_it_opens_offline_and_prints(accepted: Path, tmp_path: Path) -> None:
    assert requested(accepted, tmp_path) == []
    printed = (tmp_path / "printed.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and printed.count(b"/Type /Page\n") > 10
    page = tmp_path / "page.html"
    loading = '<main><img src="http://127.0.0.1:9/a.png" alt="a"><img src="https://example.org/a.png" alt="a">'
    page.write_text(accepted.read_text().replace("<main>", loading))
    assert requested(page, tmp_path)  # control


def test_formulas_and_images_are_shown(accepted: Path, tmp_path: Path) -> None:
    shown = browse(accepted, tmp_path, "--dump-dom")
    assert shown.count("<math") == accepted.read_text().count("<math") > 50
    assert shown.count("data:image/png") == accepted.read_text().count("data:image/png") > 10
