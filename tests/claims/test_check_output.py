"""Verdicts as a table, in brief, in Markdown and as JUnit's XML."""

import dataclasses
import re
import xml.etree.ElementTree as ET

import pytest

from repro.claims.check import check
from repro.claims.claim import load_claims
from repro.claims.claim_result import ClaimResult
from repro.claims.exports import to_junit, to_markdown
from repro.claims.table import format_brief, format_table, paint, tally
from repro.claims.verdicts import JUDGED, RANK
from tests.claims.synthetic import around, judged, records

VALUE = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.01; tolerance = "mse"'
ORDER = 'kind = "order"; variant = "a"; metric = "mse"; relations = ["a < b"]'
FAR = VALUE.replace("0.01", "0.1")
MEDIAN = VALUE + '; statistic = "median"'


@pytest.fixture
def results(tmp_path) -> list[ClaimResult]:
    """Reproduced, reproduced, not reproduced, not run, no claim, and reproduced by the median."""
    frame = records({"a": around(0.01, 10), "b": around(0.02, 10, seed=1)})
    return judged(tmp_path, frame, VALUE, ORDER, FAR, VALUE.replace('"a"', '"z"'), 'kind = "no claim"', MEDIAN)


def test_reasons_are_printed_on_request(results):
    plain, why = format_table(results), format_table(results, why=True)
    assert "inside 0.0" not in plain and "after Holm" not in plain
    assert (
        "inside 0.006667 to 0.015, the paper's 0.01 within factor 1.5" in " ".join(why.split()) and "after Holm" in why
    )
    assert {line.split()[0] for line in plain.splitlines()[2:6]} == {"c0", "c1", "c2", "c5"}


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(results, width):
    real = check(load_claims(), records({}), {})
    long = [dataclasses.replace(r, claimed="a < b, " * 30, reason="word " * 99) for r in results]
    for rows in (results, real, long):
        for text in (format_table(rows, True, width), format_table(rows, False, width), format_brief(rows, width)):
            assert max(map(len, text.splitlines())) <= width
    assert max(map(len, format_brief(long, 1000).splitlines())) > 120  # control: they are long


def test_a_narrow_terminal_keeps_what_matters(results):
    wide, narrow = (format_table(results, width=width).splitlines()[0].split() for width in (120, 70))
    assert "tolerance" in wide and "tolerance" not in narrow
    assert {"claim", "paper", "ours", "verdict"} <= set(narrow)


def test_brief_is_the_tally_and_one_line_a_claim(results):
    first, *rows = format_brief(results).splitlines()
    assert first == "6 claims: 3 reproduced, 1 not reproduced, 1 not run, 1 no claim"
    assert [row.split()[-1] for row in rows[3:5]] == ["c3", "c4"] and len(rows) == 6
    assert re.fullmatch(r"reproduced +c0  10 seeds  0\.0\d+ \(0\.0\d+ to 0\.0\d+\), paper 0\.01", rows[0])
    assert re.fullmatch(r"reproduced +c1  10 seeds  a < b", rows[1])
    assert re.fullmatch(r"reproduced +c5  10 seeds  median 0\.0\d+ \(0\.0\d+ to 0\.0\d+\), paper 0\.01", rows[5])
    assert format_brief([]) == "no claims"


def test_colour_is_added_and_nothing_else(results):
    plain, coloured = format_brief(results), format_brief(results, colour=True)
    assert "\x1b" not in plain and re.sub("\x1b\\[[0-9]*m", "", coloured) == plain
    green, red, faint = (f"\x1b[{code}m" for code in (32, 31, 2))
    lines = coloured.splitlines()[1:]
    assert lines[0].startswith(green) and lines[2].startswith(red) and lines[3].startswith(faint)


def test_medians_are_marked_where_they_are_printed(results):
    text = format_table(results)
    marked = [line for line in text.splitlines() if re.search(r"\d m ", line)]
    assert [line.split()[0] for line in marked] == [
        "c5"
    ] and "m median over seeds (Kaplan-Meier); all others are means" in text
    assert "m median" not in format_table(results[:5])


def test_markdown_is_a_table(results):
    lines = to_markdown(results).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(results) and {line.count("|") for line in table} == {9}
    assert lines[0] == "6 claims: 3 reproduced, 1 not reproduced, 1 not run, 1 no claim"
    why = to_markdown([dataclasses.replace(results[0], reason="a|b < c_1*")], why=True)
    assert r"a\|b \< c\_1\*" in why and "| why |" in why


def test_junit_fails_what_fell_and_skips_what_has_no_verdict(results):
    root = ET.fromstring(to_junit(results, {"c2": "reproduced"}))
    cases = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert cases == {
        "c0": ["system-out"], "c1": ["system-out"], "c2": ["failure", "system-out"],
        "c3": ["skipped", "system-out"], "c4": ["skipped", "system-out"], "c5": ["system-out"],
    }  # fmt: skip
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6", "failures": "1", "errors": "0", "skipped": "2",
    }  # fmt: skip
    assert [f.get("message") for f in root.iter("failure")] == ["not reproduced; recorded: reproduced"]
    assert not [*ET.fromstring(to_junit(results, {})).iter("failure")]  # as recorded
    lost = ET.fromstring(to_junit(results, {"c3": "reproduced"}))
    assert len([*lost.iter("failure")]) == 1 and lost.get("skipped") == "1"


def test_junit_is_xml_whatever_a_reason_contains(results):
    odd = dataclasses.replace(results[0], reason='<&>"\x00\x1b[31m é 𝛼')
    (case,) = ET.fromstring(to_junit([odd], {})).iter("testcase")
    assert case.findtext("system-out") == 'reproduced: <&>"??[31m é 𝛼'


def test_every_verdict_is_printed_in_every_form(results):
    rows = [dataclasses.replace(results[0], id=f"c{k}", verdict=verdict) for k, verdict in enumerate(RANK)]
    assert tally(rows) == f"8 claims: {', '.join(f'1 {verdict}' for verdict in RANK)}"
    table, brief, markdown = format_table(rows), format_brief(rows, 300), to_markdown(rows)
    plain = [line.split("  ")[0] for line in brief.splitlines()[1:]]
    assert plain == list(RANK)
    assert all(f"  {verdict}\n" in table and f"| {verdict} |" in markdown for verdict in JUDGED)
    cases = ET.fromstring(to_junit(rows, {"c3": "fitted"})).iter("testcase")
    kinds = {case.findtext("system-out").split(":")[0]: case[0].tag for case in cases}
    passed = dict.fromkeys(JUDGED, "system-out") | {"inconclusive": "failure"}
    assert kinds == passed | dict.fromkeys(("not run", "no data", "no claim"), "skipped")
    colours = {verdict: paint("x", verdict) for verdict in RANK}
    assert len({*map(colours.get, JUDGED)}) == len(JUDGED) and len({*colours.values()}) == len(JUDGED) + 1


def test_a_lost_run_is_seen_in_every_form(results):
    lost = dataclasses.replace(results[0], n_seeds=9, n_lost=1)
    assert "9 of 10" in format_table([lost]) and "| 9 of 10 |" in to_markdown([lost])
    assert "9 of 10 seeds" in format_brief([lost])
    whole = dataclasses.replace(lost, n_lost=0)
    assert " of 10" not in format_table([whole]) + format_brief([whole]) + to_markdown([whole])  # control
