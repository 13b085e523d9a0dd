"""What a report cannot be written from is one sentence, and nothing is written."""

from pathlib import Path

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.records import store
from repro.report import markdown, page, panels


def test_no_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "report.html"
    assert main(["report", "--records", str(tmp_path / "empty"), "--out", str(out)]) == 2
    assert "no records in" in capsys.readouterr().err and not out.exists()


def test_outside_a_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "in_checkout", lambda: False)
    assert main(["report", "--out", str(tmp_path / "report.html")]) == 2
    assert "belongs to a checkout" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_section_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Page\n\nbefore\n\n## There\n\ntext\n")
    assert markdown.section(tmp_path / "page.md", "There").strip() == "text"
    assert markdown.section(tmp_path / "page.md", "").strip() == "before"
    with pytest.raises(UserError, match="has no section '## Gone'"):
        markdown.section(tmp_path / "page.md", "Gone")
    for name, heading in page.TEXTS.values():
        assert markdown.section(page.DOCS / name, heading).strip()


@pytest.mark.parametrize("text", ["[1c]\ntitle = 1\ncaption = 'a'\nalt = 'b'", "[1c]\ntitle = 'a'", "1c = 2"])
def test_a_panel_without_its_texts(tmp_path: Path, text: str) -> None:
    (tmp_path / "panels.toml").write_text(text)
    with pytest.raises(UserError, match="1c"):
        panels.read_panels(tmp_path / "panels.toml")


def test_markdown_becomes_html_that_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("<svg/>")
    html = markdown.to_html(
        "## A\n\n$\\hat z$ [here](b.md) [there](https://a.org) ![an image](a.svg) <b>\n", tmp_path, 3
    )
    assert "<h3>A</h3>" in html and "<math" in html and "hat" not in html
    assert "b.md" not in html and "here" in html and 'href="https://a.org"' in html
    assert 'src="data:image/svg+xml;base64,' in html and "&lt;b&gt;" in html
    with pytest.raises(UserError, match=r"c\.png is missing"):
        markdown.to_html("![none](c.png)", tmp_path)
