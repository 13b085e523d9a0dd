"""The appendices: pages of docs/, without the sections that the report has printed before."""

import dataclasses
import string
from collections.abc import Collection, Sequence
from pathlib import Path

from markupsafe import Markup, escape

from repro.report import markdown

PAGES = {  # page of docs/ -> anchor, title; one that is not written yet is left out
    "paper_notes.md": ("notes", "notes on the paper"),
    "readings.md": ("reading-studies", "each claim in each reading"),
    "questions.md": ("questions", "what the paper's authors would ask"),
    "performance.md": ("timings", "timings"),
}
VALUES = ("values", "every value and its source")  # of no page: the last


@dataclasses.dataclass(frozen=True)
class Appendix:
    """One appendix: its anchor, name ("appendix A") and title, the headings in it and its text as HTML."""

    anchor: str
    name: str
    title: str
    headings: Sequence[str]
    html: Markup


def read(docs: Path, printed: Collection[tuple[str, str]]) -> dict[str, Appendix]:
    """Anchor -> appendix, in their order; `printed` are pages and headings to leave out. Raises UserError when a page
    cannot be read."""
    pages = [(page, *named) for page, named in PAGES.items() if (docs / page).exists()]
    made = {}
    for letter, (page, anchor, title) in zip(string.ascii_uppercase, [*pages, ("", *VALUES)], strict=False):
        parts = markdown.sections(docs / page) if page else {}
        kept = {name: body for name, body in parts.items() if (page, name) not in printed}
        text = "\n".join(f"## {name}\n{body}" if name else body for name, body in kept.items())
        html = Markup(markdown.to_html(text, docs, level=3, prefix=anchor))
        made[anchor] = Appendix(anchor, f"appendix {letter}", title, list(filter(None, kept)), html)
    return made


def with_links(text: str, appendices: dict[str, Appendix]) -> Markup:
    """A text in which the names of pages of docs/ are links to the appendices that they have become."""
    html = str(escape(text.replace("+-", "±")))
    for page, (anchor, _) in PAGES.items():
        if anchor in appendices:
            html = html.replace(f"docs/{page}", f'<a href="#{anchor}">{appendices[anchor].name}</a>')
    return Markup(html)
