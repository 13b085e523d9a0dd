"""docs/readings.md: in how many readings of the text each claim holds, and which runs that rests on."""

import collections
from collections.abc import Sequence

from repro.claims.claim import PaperClaim
from repro.claims.multiverse import CHOSEN, LITERAL, OPEN, YES, ReadingResult, count_text
from repro.studies.table import ENDED, read_paper
from repro.studies.universe import Universe
from repro.text import count, markdown_table

HEAD = """\
# In how many readings of the text does each claim hold?

Written by `repro readings`; paper_figures/readings.toml lists the readings, sweeps/tables has every run. Where the
text is open, our figures use one reading, chosen by a criterion that was stated beforehand (docs/paper_notes.md).
This page chooses nothing: it shows what becomes of each claim in the others.

**Holds** means, with the three seeds of a study: a value's mean, or Kaplan-Meier median, lies inside the tolerance of
the printed number; an order holds for the means, with lost runs at the worst rank; for a likeness the difference, or
ratio, of the means lies inside the tolerance; the share of runs lies where it should. All that a claim states must
hold. There is no interval and no test: three seeds allow none. It is less than "reproduced": where two bars are
alike, an order holds in half of all readings; and a likeness holds also where neither bar learns, so read it beside
the values of the same reading.

A reading is judged when all runs that a claim compares have ended; before that it is *unfinished*, never "does not
hold". A claim that holds in the chosen reading alone is *reading-dependent*. *Literal* is the reading that has each
value as the text has it. *Controls* are no readings: networks in which the claim should fail. Where it holds in them
too, that is no evidence.

The runs are no accepted records: they may be of any commit, which the tables name, and of a smaller size, which is
stated. Their seeds are 100 to 102, on which the chosen reading was chosen.
"""
TITLES = {"fig1": "Figure 1", "fig2": "Figure 2", "fig3": "Figure 3", "fig4": "Figure 4"}
SIZES = {
    "fig3": "Trained at `long`: 40 movements a batch in place of 200, 2500 iterations in place of 20,000.",
    "fig4": "Trained at `quick`, a smaller size: only orders are judged, of curves that may still rise.",
}


def page(claims: Sequence[PaperClaim], results: Sequence[ReadingResult], universes: Sequence[Universe]) -> str:
    """The page, one section a figure."""
    judged = [claim.id for claim in claims if any(r.claim == claim.id and r.holds != OPEN for r in results)]
    whole = [id for id in judged if all(r.holds != OPEN for r in results if r.claim == id)]
    parts = [
        HEAD,
        f"Of {len({r.claim for r in results})} claims {len(whole)} are judged in all readings, and "
        f"{len(judged) - len(whole)} in a part of them. The runs of the others are not whole.\n",
    ]
    for figure in dict.fromkeys(universe.figure for universe in universes):
        ours = [result for result in results if result.reading.figure == figure]
        parts.append(f"## {TITLES.get(figure, figure)}\n")
        parts += [f"{SIZES[figure]}\n"] if figure in SIZES else []
        parts.append(f"{_claims(claims, ours)}\n")
        parts += [f"{text}\n" for text in [_together(ours)] if text]
        if any(result.holds != OPEN for result in ours):
            parts.append(f"![Claims and readings](readings_{figure}.svg)\n")
        parts.append(f"{_studies([universe for universe in universes if universe.figure == figure])}\n")
    return "\n".join(parts)


def _claims(claims: Sequence[PaperClaim], results: Sequence[ReadingResult]) -> str:
    """A table with a row a claim: in how many readings it holds, and what the chosen and the literal one show."""
    lines = [["claim", "", "readings", "chosen", "literal", "controls"]]
    for claim in claims:
        ours = [result for result in results if result.claim == claim.id]
        if ours:
            controls = [result for result in ours if not result.reading.counts]
            number = count(sum(result.reading.counts for result in ours), "reading")
            cells = [count_text(ours) or f"unfinished ({number})"]
            cells += [_of_role(ours, CHOSEN), _of_role(ours, LITERAL)] if count_text(ours) else ["", ""]
            cells += [_of_controls(controls)]
            lines.append([claim.id, claim.text, *cells])
    return markdown_table(lines)


def _together(results: Sequence[ReadingResult]) -> str:
    """In how many readings of a study all claims that it is about hold at once, for studies that are finished."""
    lines = []
    for study in dict.fromkeys(result.reading.study for result in results if result.reading.counts):
        ours = [result for result in results if result.reading.study == study]
        ids = list(dict.fromkeys(result.claim for result in ours))
        readings = {str(result.reading): True for result in ours}
        for result in ours:
            readings[str(result.reading)] &= result.holds == YES
        if len(ids) > 1 and all(result.holds != OPEN for result in ours):
            lines.append(
                f"All of {', '.join(ids)} hold at once in {sum(readings.values())} of {len(readings)} readings."
            )
    return "\n".join(lines)


def _of_role(results: Sequence[ReadingResult], role: str) -> str:
    return "; ".join(_cell(result) for result in results if role in result.reading.roles)


def _cell(result: ReadingResult) -> str:
    """ "holds (0.0107)"."""
    word = {YES: "holds", OPEN: "unfinished"}.get(result.holds, "does not hold")
    return f"{word} ({result.observed})" if result.observed else word


def _of_controls(controls: Sequence[ReadingResult]) -> str:
    if not controls:
        return ""
    known = [result for result in controls if result.holds != OPEN]
    return f"holds in {sum(r.holds == YES for r in known)} of {len(known)}" if known else "unfinished"


def _studies(universes: Sequence[Universe]) -> str:
    """A table with a row a study: how many of its runs there are, lost ones, their commits and machines."""
    lines = [["study", "what", "runs", "lost", "commits", "machines"]]
    studies = [study for universe in universes for study in (universe.study, universe.others) if study]
    for study in {study.name: study for study in studies}.values():
        rows = read_paper(study)
        over = [row for row in rows if row["status"] in ENDED]
        made = [
            ", ".join(f"{text} ({number})" for text, number in collections.Counter(row[key] for row in rows).items())
            for key in ("commit", "machine")
        ]
        lost = sum(row["status"] == "failed" for row in rows)
        lines.append([study.name, study.about, f"{len(over)} of {study.size}", str(lost), *made])
    return markdown_table(lines)
