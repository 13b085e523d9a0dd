"""The report has every claim with its verdict, the numbers of the records, and loads nothing."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from repro.claims.claim import load_claims
from repro.claims.verdicts import RANK
from repro.cli.check import judge
from repro.cli.main import main
from repro.records import store
from repro.report.panels import read_panels
from repro.runs.registry import get_figure
from tests.report.html_page import Page


def faults(page: Page) -> list[str]:
    """What keeps a page from opening offline, or is not HTML."""
    missing = [link for link in page.links if link.startswith("#") and link[1:] not in page.ids]
    twice = sorted({name for name in page.ids if page.ids.count(name) > 1})
    return [*page.faults, *map(str, page.loaded), *missing, *twice, *map(str, page.skipped_levels())]


def wrong_verdicts(page: Page, where: str) -> list[str]:
    """The claims whose part of the page is missing, or does not state the verdict of `repro check`."""
    wrong = []
    for result in judge(where):
        text = page.texts.get(f"claim-{re.sub('[^a-z0-9]', '-', result.id)}", "")
        verdicts = re.findall(rf"[✓≈→?✗○–·] ({'|'.join(RANK)})", text)
        if not verdicts or verdicts[0] != result.verdict:
            wrong.append(result.id)
    return wrong


def test_it_is_a_page_that_loads_nothing(accepted: Path) -> None:
    text = accepted.read_text()
    page = Page(text)
    assert faults(page) == []
    assert (page.language, page.headings.count(1)) == ("en", 1)
    assert page.images and all(image["alt"].strip() for image in page.images)
    assert len(page.images) >= sum(len(get_figure(name).PANELS) for name in ("fig1", "fig2", "fig3", "fig4"))


@pytest.mark.parametrize(
    "broken",
    [
        '<img src="https://example.org/a.png" alt="a">',
        '<script src="a.js"></script>',
        "<style>a { background: url(b.png) }</style>",
        "<p><b>",
        '<a href="#nowhere">a</a>',
        "<h6>deep</h6>",
    ],
)
def test_what_is_wrong_with_a_page_is_noticed(accepted: Path, broken: str) -> None:
    assert faults(Page(accepted.read_text().replace("<main>", f"<main>{broken}")))


def test_every_claim_has_the_verdict_of_check(accepted: Path, made_up: Path, records: Path) -> None:
    assert wrong_verdicts(Page(accepted.read_text()), "accepted") == []
    page = made_up.read_text()
    assert wrong_verdicts(Page(page), str(records)) == []
    other = page.replace("</span> reproduced</span>", "</span> inconclusive</span>")
    assert "1e-bptt" in wrong_verdicts(Page(other), str(records))  # control


def test_numbers_are_those_of_the_records(made_up: Path, records: Path) -> None:
    page = Page(made_up.read_text())
    for claim, variant in (("1d-eprop1", "e_prop_1"), ("1d-norec", "no_recurrence"), ("1d-global", "global_signal")):
        files = list(records.glob(f"pattern_generation/{variant}-*/seed-*/record.json"))
        mean = np.mean([json.loads(file.read_text())["metrics"]["nmse"] for file in files])
        assert len(files) == 8 and f" {mean:.3g} " in page.text(f"claim-{claim}")
        assert f" {1.1 * mean:.3g} " not in page.text(f"claim-{claim}")  # control


def test_the_time_spent_is_that_of_the_records(accepted: Path) -> None:
    files = [json.loads(file.read_text()) for file in (store.CHECKOUT / "results/accepted").rglob("record.json")]
    parts = [part for record in files for part in (record["parts"] or [record])]
    core, gpu = (
        sum(part["wall_s"] * (part["threads"] if device == "cpu" else 1) for part in parts if part["device"] == device)
        for device in ("cpu", "cuda")
    )
    row = re.search(r'<tr class="sum">.*', accepted.read_text())
    assert row and re.findall(r"<td>([\d.]+)</td>", row[0])[0] == str(len(files))
    assert re.findall(r"<td>([\d.]+)</td>", row[0])[-2:] == [f"{core / 3600:.1f}", f"{gpu / 3600:.1f}"]


def test_what_is_not_run_or_drawn_is_written(made_up: Path) -> None:
    page = Page(made_up.read_text())
    assert "no records of copy_repeat or word_prediction to draw" in " ".join(made_up.read_text().split())
    assert "not run" in page.text("claim-4e-eprop3")


def test_the_same_records_give_the_same_page(made_up: Path, records: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.html"
    assert main(["report", "--records", str(records), "--out", str(out)]) == 0
    assert out.read_bytes() == made_up.read_bytes()


def test_every_panel_has_a_text() -> None:
    drawn = [panel for name in {claim.figure for claim in load_claims()} for panel in get_figure(name).PANELS]
    assert sorted(read_panels()) == sorted(drawn)
