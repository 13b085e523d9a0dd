"""The results in the README are those of the accepted records, and equal what `repro check --brief` prints."""

import dataclasses
import re

import pytest

from repro.claims.claim_result import ClaimResult
from repro.claims.overview import (
    BEGIN,
    END,
    FAILURES,
    OTHER_SEEDS,
    SMALLER,
    Failure,
    Overview,
    Row,
    Shown,
    format_overview,
    insert,
    load_overview,
)
from repro.claims.table import format_brief, tally
from repro.cli.check import judge
from repro.cli.main import main
from repro.errors import UserError
from repro.records.store import CHECKOUT

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
NAN = float("nan")
RESULT = ClaimResult("a", "1d", "value", 0.01, "factor 1.5", 0.012, 0.011, 0.013, 10, False, False, "reproduced", "")
ROW = Row(panels="1d", about="a task", claims=["a", "b"], result="ours {a}, then {b}")
FAILURE = Failure(claim="b", text="**It is {b}.**", cause="a reason", link="docs/page.md#part")


@pytest.fixture(scope="module")
def results() -> list[ClaimResult]:
    return judge("accepted")


def made(**changes: object) -> tuple[list[ClaimResult], dict[str, Shown]]:
    """Claim a is reproduced; b is not run, and not reproduced on other seeds."""
    b = dataclasses.replace(RESULT, id="b", claimed=0.5, observed=NAN, n_seeds=0, verdict="not run")
    shown = {"a": Shown(0.012, False, 10, "", "reproduced")}
    return [RESULT, b], shown | {"b": Shown(0.9, False, 3, OTHER_SEEDS, "not reproduced")} | changes  # type: ignore


def test_the_readme_is_not_stale(tmp_path, capsys):
    page = tmp_path / "README.md"
    page.write_text(insert(README, "old"), encoding="utf-8")
    assert main(["check", "--brief", "--write", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == README, "run `repro check --write README.md`"
    assert insert(README, "old") != README  # control


def test_the_readme_equals_check_brief(results):
    lines = format_brief(results, width=10_000).splitlines()
    assert f"**{lines[0]}.**" in README
    verdict_of = {words[1]: words[0] for line in lines[1:] if len(words := re.split(r" {2,}", line)) > 1}
    for row in load_overview().rows:
        (cells,) = [line.split(" | ") for line in README.splitlines() if line.startswith(f"| {row.panels} | ")]
        counts = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z ]+)", cells[4].split(" (")[0])}
        verdicts = [verdict_of[claim].rstrip("*") for claim in row.claims]
        assert {word.strip(): number for word, number in counts.items()} == {v: verdicts.count(v) for v in verdicts}


def test_every_link_of_a_failure_has_its_heading():
    for failure in load_overview().failures:
        page, _, anchor = failure.link.partition("#")
        heads = re.findall(r"^#+ (.*)$", (CHECKOUT / page).read_text(encoding="utf-8"), re.M)
        assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, failure.link


def test_values_marks_and_counts():
    results, shown = made()
    text = format_overview(Overview(rows=[ROW], failures=[FAILURE]), results, shown)
    row = "| 1d | a task | ours 0.012 (0.01), then 0.9 (0.5) | 10, 3† | 1 reproduced, 1 not run († 1 not reproduced) |"
    assert row in text and f"**{tally(results)}.**" in text
    assert "- **It is 0.9 (0.5).** [The reason](docs/page.md#part): a reason (not reproduced on 3 seeds†)." in text
    assert "† Seeds 0 to 9 were seen" in text and "‡" not in text
    _, shown = made(b=Shown(0.9, True, 3, SMALLER, ""))
    text = format_overview(Overview(rows=[ROW], failures=[FAILURE]), results, shown)
    assert "at least 0.9" in text and "‡ Smaller" in text and "†" not in text
    assert "come out as printed" not in text, "what has no verdict has not failed"


def test_only_failures_are_listed_and_at_most_three():
    results, shown = made()
    failures = [FAILURE.model_copy(update={"text": f"failure {k}."}) for k in range(5)]
    text = format_overview(Overview(rows=[ROW], failures=failures), results, shown)
    assert re.findall(r"failure \d", text) == [f"failure {k}" for k in range(FAILURES)]
    assert "Three that did not" in text
    assert "One that did not" in format_overview(Overview(rows=[ROW], failures=failures[:1]), results, shown)
    for verdict in ("reproduced", "fitted"):
        _, shown = made(b=Shown(0.5, False, 3, OTHER_SEEDS, verdict))
        assert "failure" not in format_overview(Overview(rows=[ROW], failures=failures), results, shown)


def test_a_claim_stands_in_one_row():
    results, shown = made()
    for claims in (["a"], ["a", "b", "b"], ["a", "b", "c"]):
        with pytest.raises(UserError, match="each claim in one row"):
            row = ROW.model_copy(update={"claims": claims})
            format_overview(Overview(rows=[row], failures=[]), results, shown)
    with pytest.raises(UserError, match="'c' is no claim"):
        row = ROW.model_copy(update={"result": "{c}"})
        format_overview(Overview(rows=[row], failures=[]), results, shown)


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_page_without_a_place_is_refused(page, tmp_path, capsys):
    with pytest.raises(UserError, match="no place for the results"):
        insert(page, "new")
    assert insert(f"before {BEGIN} old {END} after", "new") == f"before {BEGIN}\nnew\n{END} after"
    assert main(["check", "--brief", "--write", str(tmp_path / "none.md")]) == 2
    assert "there is no such page" in capsys.readouterr().err
