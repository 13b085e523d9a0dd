"""Verdicts for other programs: a table in Markdown, and a report in JUnit's XML, which CI services show."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from repro.claims.claim_result import ClaimResult
from repro.claims.table import COLUMNS, INDICATIVE, MEANING, UNJUDGED, tally
from repro.text import markdown_table

NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_markdown(results: Sequence[ClaimResult], why: bool = False) -> str:
    """The tally, and a table with one row a claim; with `why` a column of reasons."""
    columns = COLUMNS | ({"why": lambda r: r.reason} if why else {})
    rows = [list(columns), *([_escaped(text(r)) for text in columns.values()] for r in results)]
    legend = _escaped("; ".join([INDICATIVE, *MEANING.values()]))
    return "\n".join([tally(results), "", markdown_table(rows), "", legend])


def _escaped(text: str) -> str:
    for mark in ("\\", "|", "*", "_", "<", "~"):
        text = text.replace(mark, f"\\{mark}")
    return text


def to_junit(results: Sequence[ClaimResult], fallen: Mapping[str, str]) -> bytes:
    """One test case a claim, of the class "claims.PANEL".

    A claim fails if its verdict is worse than the recorded one, which `fallen` maps it to: the same that makes the
    command fail. A claim that is "not reproduced", as recorded, passes: what is tested is our records, not the paper. A
    claim without a verdict is skipped. The reason is the case's output.
    """
    skipped = [r for r in results if r.verdict in UNJUDGED and r.id not in fallen]
    counts = {"tests": str(len(results)), "failures": str(len(fallen)), "errors": "0", "skipped": str(len(skipped))}
    suite = ET.Element("testsuite", {"name": "repro check", **counts})
    for r in results:
        case = ET.SubElement(suite, "testcase", {"classname": f"claims.{r.panel}", "name": r.id, "time": "0"})
        if r.id in fallen:
            ET.SubElement(case, "failure", {"message": f"{r.verdict}; recorded: {fallen[r.id]}"}).text = r.reason
        elif r in skipped:
            ET.SubElement(case, "skipped", {"message": r.verdict})
        ET.SubElement(case, "system-out").text = f"{r.verdict}: {r.reason}"
    root = ET.Element("testsuites", counts)
    root.append(suite)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{NOT_IN_XML.sub("?", text)}\n'.encode()
