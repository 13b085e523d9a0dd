"""The page: what of it comes from where, and the template filled in."""

import collections
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from repro.claims.claim_result import ClaimResult
from repro.claims.criteria import Tolerance
from repro.claims.table import COLUMNS, MARKS
from repro.claims.verdicts import RANK
from repro.drawing import RC, WIDTH
from repro.records import store
from repro.records.files import read_bytes
from repro.records.record import RunRecord
from repro.report import appendices, compute, markdown
from repro.report.figures import FigurePart
from repro.report.panels import Judgement
from repro.runs.config import provenance

DOCS = store.HOME / "docs"
SYMBOLS = dict(zip(RANK, "✓≈→?✗○–·", strict=True))
NOTES = "paper_notes.md"
CHANGED = "Verdicts: the rules, and what they changed"  # a section of the notes
TEXTS = {  # what the template prints of docs/: name -> page, section ("" for what comes before the first)
    "judging": ("records.md", "How a claim is judged"),
    "errata": (NOTES, "Errata that the code corrects"),
    "conventions": (NOTES, "Conventions that the text leaves open"),
    "eq10": (NOTES, "Eq. 10"),
    "plan": ("campaign.md", ""),
    "speed": ("performance.md", ""),
    "goals": ("performance.md", "Goals"),
}


def render(figures: Sequence[FigurePart], records: Sequence[tuple[Path, RunRecord]], where: str) -> str:
    """The page as HTML. Raises UserError when a page of docs/ or CITATION.cff lacks what it prints."""
    made = appendices.read(DOCS, TEXTS.values())
    judgements = [judgement for figure in figures for judgement in figure.judgements]
    here = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=here, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"data_uri": markdown.data_uri, "symbol": SYMBOLS.__getitem__, "slug": markdown.anchor}
    environment.filters |= {"upper_first": lambda text: text[:1].upper() + text[1:], "share_of_width": _share_of_width}
    environment.filters |= {"cell": _cell, "with_links": lambda text: appendices.with_links(text, made)}
    return environment.get_template("page.html").render(
        figures=figures,
        judgements=judgements,
        counts=_counts([judgement.result for judgement in judgements]),
        other_counts=_counts([judgement.other for judgement in judgements if judgement.other]),
        style=Markup(read_bytes(Path(__file__).parent / "style.css").decode()),
        software=(citation := _citation()),
        address=citation.get("repository-code", ""),
        paper=citation["references"][0],
        where=where,
        costs=compute.costs(records),
        origin=compute.origin(records),
        texts={name: _text(page, heading) for name, (page, heading) in TEXTS.items()},
        appendices=made,
        tolerances=_tolerances(judgements),
        seeds={j.claim.task: j.claim.seeds for j in judgements},
        provenance=provenance,
        changed=markdown.anchor("notes", CHANGED),
    )


def _counts(results: Sequence[ClaimResult]) -> dict[str, int]:
    """Verdict -> how often, the best first."""
    counts = collections.Counter(result.verdict for result in results)
    return {verdict: counts[verdict] for verdict in RANK if counts[verdict]}


def _tolerances(judgements: Sequence[Judgement]) -> dict[Tolerance, list[str]]:
    """Tolerance -> the metrics that are judged by it."""
    metrics: dict[Tolerance, dict[str, None]] = {}
    for claim in (judgement.claim for judgement in judgements):
        if claim.tolerance and claim.metric:
            metrics.setdefault(claim.tolerance, {})[claim.metric] = None
    return {tolerance: list(names) for tolerance, names in metrics.items()}


def _cell(result: ClaimResult, column: str) -> str:
    """A cell of the table that `repro check` prints; marks of a statistic that is no mean are written out."""
    text = COLUMNS[column](result).replace("+-", "±")
    mark = f" {MARKS.get(result.statistic, '')}"
    return f"{text.removesuffix(mark)} ({result.statistic})" if column == "ours" and text.endswith(mark) else text


def _share_of_width(image: Path) -> str:
    """How much of the text's width an image takes: "60%". All have letters of one size, but the widest ones."""
    pixels = int.from_bytes(read_bytes(image)[16:20])  # of a PNG's header
    return f"{min(100, 120 * pixels / (WIDTH * RC['savefig.dpi'])):.0f}%"


def _text(page: str, heading: str) -> Markup:
    return Markup(markdown.to_html(markdown.section(DOCS / page, heading), DOCS, level=3))


def _citation() -> Any:
    """CITATION.cff: this software, and the paper as its first reference."""
    return yaml.safe_load(read_bytes(store.HOME / "CITATION.cff"))
