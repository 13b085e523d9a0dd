"""The pages on verdicts use the words that the code has, and the verdicts that are recorded."""

import re
import shutil
from pathlib import Path

from repro.claims.claim import load_claims
from repro.claims.table import UNJUDGED
from repro.claims.verdicts import FORMER, JUDGED, RANK, read_verdicts
from repro.cli.check import judge
from repro.records.store import CHECKOUT

RECORDS = (CHECKOUT / "docs" / "records.md").read_text(encoding="utf-8")
NOTES = (CHECKOUT / "docs" / "paper_notes.md").read_text(encoding="utf-8")


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    lines = page.split(heading)[1].split("\n## ")[0].splitlines()
    table = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table[1:]]


def test_every_verdict_is_explained_the_best_first():
    words = [row[0] for row in rows(RECORDS, "## How a claim is judged") if row[0] in {*RANK, *FORMER}]
    assert words == list(RANK) == [*JUDGED, *UNJUDGED]
    assert not set(words) & set(FORMER)  # control: a word of the first edition


def first_records(folder: Path) -> Path:
    """The accepted records that the first rules were applied to: seeds 0 to 9."""

    def later(_: str, names: list[str]) -> list[str]:
        return [name for name in names if name.startswith("seed-") and int(name[5:]) > 9]

    return Path(shutil.copytree(CHECKOUT / "results" / "accepted", folder / "first", ignore=later))


def test_every_claim_has_its_verdicts_before_and_after(tmp_path: Path):
    table = {row[0]: row[1:4] for row in rows(NOTES, "## Verdicts: the rules")}
    assert list(table) == [claim.id for claim in load_claims()]
    recorded = read_verdicts(CHECKOUT / "results" / "accepted")
    assert {name: now for name, (_, _, now) in table.items()} == recorded
    first = {"reproduced", "ordering only", "not reproduced", "not run", "no data", "no claim"}
    assert {before for before, _, _ in table.values()} <= first | {""}
    for column, where, planned in ((1, first_records(tmp_path), False), (2, "accepted", True)):
        judged = {result.id: result.verdict for result in judge(where, planned=planned)}
        assert {name: verdicts[column] for name, verdicts in table.items()} == judged


def test_the_first_rules_words_are_nowhere_but_in_their_own_column():
    pages = [path for folder in ("docs", "repro", "paper_figures") for path in (CHECKOUT / folder).rglob("*")]
    texts = {path: path.read_text() for path in pages if path.suffix in (".md", ".py", ".toml")}
    found = {path.name for path, text in texts.items() if re.search("ordering only", text, re.IGNORECASE)}
    assert found == {"paper_notes.md", "verdicts.py"}
