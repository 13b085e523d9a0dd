"""Claims in readings, judged on tables whose answer is known; and the committed list of readings."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from repro.claims.claim import load_claims
from repro.claims.criteria import Requirement
from repro.claims.multiverse import Reading, ReadingResult, count_text, read_results
from repro.errors import UserError
from repro.runs.registry import get_task
from repro.studies import readings_map, readings_page, universe
from repro.studies.readings import judge
from repro.studies.spec import StudySpec
from repro.studies.studyfile import load
from repro.studies.table import Row
from repro.studies.universe import Universe

CLAIMS = load_claims()
RATES = ("sum_khz", "sum_hz", "population_hz")
STUDY = """\
about = "a try"
task = "pattern_generation"
variants = ["e_prop_1", "binary", "clopath"]
profile = "smoke"
metric = "nmse"
seeds = [100, 101, 102]

[grid]
rate_loss = ["sum_khz", "sum_hz", "population_hz"]
"""
PLAIN = Universe("fig1", "", None, None, {}, (), {"rate_loss": "sum_hz"}, {"rate_loss": "population_hz"}, False, False)
# e_prop_1, binary, clopath by reading: what the paper has; the order of binary reversed; all alike
KNOWN = {"sum_khz": (0.011, 0.026, 0.5), "sum_hz": (0.011, 0.005, 0.013), "population_hz": (0.4, 0.4, 0.4)}
HOLDS = {
    "1d-eprop1": {"sum_khz", "sum_hz"},
    "1d-binary": {"sum_khz"},
    "1d-clopath": {"sum_hz", "population_hz"},
    "1c-nmse": {"population_hz"},
    "1-rate": {"sum_khz", "sum_hz", "population_hz"},
}


@pytest.fixture
def plain(results: Path, write: Callable[[str], Path]) -> Universe:
    return dataclasses.replace(PLAIN, study=load(write(STUDY)))


def rows(study: StudySpec) -> list[Row]:
    """A row for each run, with values around those of KNOWN."""
    made = []
    for job in study.search:
        reading = str(dict(job.point)["rate_loss"])
        value = KNOWN[reading][study.variants.index(job.variant)] * {100: 0.9, 101: 1.0, 102: 1.1}[job.seed]
        at_500 = 0.011 if reading == "population_hz" else 0.02
        made.append(
            {"task": study.task, "variant": job.variant, "seed": str(job.seed), "rate_loss": reading}
            | {"status": "finished", "reason": "", "nmse": str(value), "nmse_500": str(at_500), "rate_hz": "10"}
            | {"commit": "abc", "machine": "cpu"}
        )
    return made


def held(results: list[ReadingResult], word: str = "yes") -> dict[str, set[str]]:
    """Claim -> the readings in which it holds."""
    sets: dict[str, set[str]] = {result.claim: set() for result in results}
    for result in results:
        sets[result.claim] |= {result.reading.values.split("=")[1]} if result.holds == word else set()
    return sets


def test_each_claim_holds_where_it_was_made_to(plain: Universe) -> None:
    found = judge(plain, CLAIMS, rows)
    assert held(found) == HOLDS
    assert {"1d-norec", "1d-global", "1e-bptt"}.isdisjoint(held(found))  # of variants that the study has not
    roles = {result.reading.values: result.reading.roles for result in found}
    assert [*roles.values()] == [[], ["chosen"], ["literal"]]
    rate = [result for result in found if result.claim == "1-rate"]
    assert count_text(rate) == "holds in 3 of 3 readings" and rate[0].observed == "10"


def test_readings_with_a_name_are_counted_on_their_own_too() -> None:
    def result(name: str, value: str, holds: Literal["yes", "no", "unfinished"]) -> ReadingResult:
        reading = Reading(figure="fig1", study="s", name=name, values=value, roles=[])
        return ReadingResult("1d-clopath", reading, holds, "")

    printed = [result("", "a=1", "no"), result("", "a=2", "no")]
    added = [result("with a fall-off", "a=1", "yes"), result("with a fall-off", "a=2", "no")]
    assert count_text([*printed, *added]) == "holds in 1 of 4 readings (with a fall-off: 1 of 2)"
    added[1] = result("with a fall-off", "a=2", "unfinished")
    assert count_text([*printed, *added]) == (
        "holds in 1 of 3 readings that are finished, of 4 (with a fall-off: 1 of 1)"
    )
    assert count_text(added) == "holds in 1 of 1 readings that are finished, of 2"  # no others beside them


@pytest.mark.parametrize("status", ["missing", "unfinished"])
def test_a_reading_without_all_its_runs_is_unfinished_and_never_no(plain: Universe, status: str) -> None:
    """One run of the binary bar is not there yet: claims that compare it are open, and only these."""

    def some(study: StudySpec) -> list[Row]:
        made = rows(study)
        gone = next(row for row in made if (row["variant"], row["rate_loss"]) == ("binary", "sum_hz"))
        gone["status"] = "unfinished"
        return [row for row in made if row is not gone or status == "unfinished"]

    found = judge(plain, CLAIMS, some)
    assert held(found, "unfinished") == {claim: {"sum_hz"} if claim == "1d-binary" else set() for claim in HOLDS}
    assert held(found)["1d-eprop1"] == HOLDS["1d-eprop1"]
    whole = {result.holds for result in judge(plain, CLAIMS, rows) if result.claim == "1d-binary"}
    assert whole == {"yes", "no"}  # control: with all its runs the same reading is a "no"


def test_no_table_at_all(plain: Universe) -> None:
    found = judge(plain, CLAIMS, lambda study: [])
    assert {result.holds for result in found} == {"unfinished"}
    assert readings_map.draw("fig1", CLAIMS, found) == {}


def test_a_lost_run_has_ended(plain: Universe) -> None:
    def lost(study: StudySpec) -> list[Row]:
        made = rows(study)
        for row in made:
            if (row["variant"], row["rate_loss"]) == ("e_prop_1", "sum_khz"):
                row |= {"status": "failed", "reason": "dead", "nmse": "", "nmse_500": "", "rate_hz": ""}
        return made

    found = held(judge(plain, CLAIMS, lost), "no")
    assert all("sum_khz" in found[claim] for claim in HOLDS if claim != "1c-nmse")


def test_other_variants_come_from_another_study_at_the_same_point(plain: Universe) -> None:
    alone = dataclasses.replace(plain.study, name="alone", variants=("binary",))
    beside = dataclasses.replace(plain, study=alone, others=plain.study, name="z_i alone")

    def read(study: StudySpec) -> list[Row]:
        made = rows(study)
        for row in made if study.name == "alone" else ():
            row["nmse"] = {"sum_khz": "0.3", "sum_hz": "0.03", "population_hz": "0.5"}[row["rate_loss"]]
        return made

    found = judge(beside, CLAIMS, read)
    assert held(found) == {"1d-binary": {"sum_hz"}}  # against the other study's e_prop_1, not its binary
    assert held(judge(plain, CLAIMS, read))["1d-binary"] == {"sum_khz"}  # control


def test_measures_are_readings_of_one_run(plain: Universe) -> None:
    def both(study: StudySpec) -> list[Row]:
        return [row | {"nmse_late": str(float(row["nmse"]) * 10), "nmse_early": row["nmse"]} for row in rows(study)]

    two = dataclasses.replace(plain, measures={"early": "{}_early", "late": "{}_late"}, chosen={}, literal={})
    found = [result for result in judge(two, CLAIMS, both) if result.claim == "1d-eprop1"]
    assert [result.reading.values for result in found][:2] == [f"rate_loss=sum_khz measure={m}" for m in two.measures]
    assert [result.holds for result in found] == ["yes", "no", "yes", "no", "no", "no"]


def test_numbers_of_a_smaller_size_are_not_compared(plain: Universe) -> None:
    found = held(judge(dataclasses.replace(plain, orders_only=True), CLAIMS, rows))
    assert found == {"1d-binary": {"sum_khz"}, "1d-clopath": HOLDS["1d-clopath"]}  # sum_hz is reversed, the last a tie


def test_nor_does_a_curve_of_a_smaller_size_have_to_be_flat(plain: Universe) -> None:
    """Only the requirement of the curve is left out: without `orders_only` the same runs do not count yet."""
    flat = Requirement("flattened", 1, "still rise")
    claims = [dataclasses.replace(claim, requires=flat) for claim in CLAIMS if claim.id == "1d-binary"]
    assert held(judge(dataclasses.replace(plain, orders_only=True), claims, rows)) == {"1d-binary": {"sum_khz"}}
    assert held(judge(plain, claims, rows), "unfinished") == {"1d-binary": {*RATES}}


def test_the_map_and_the_page(plain: Universe, monkeypatch: pytest.MonkeyPatch) -> None:
    found = judge(plain, CLAIMS, rows)
    files = readings_map.draw("fig1", CLAIMS, found)
    assert set(files) == {"readings_fig1.svg"}
    svg = files["readings_fig1.svg"].decode()
    assert svg == readings_map.draw("fig1", CLAIMS, found)["readings_fig1.svg"].decode()
    assert svg.count("#2c7fb8") == sum(len(held) for held in HOLDS.values()) + 1  # the legend's
    assert "chosen — rate_loss=sum_hz" in svg and "literal — rate_loss=population_hz" in svg
    monkeypatch.setattr(readings_page, "read_paper", rows)
    lines = readings_page.page(CLAIMS, found, [plain]).splitlines()
    (row,) = [line for line in lines if line.startswith("| 1d-binary")]
    assert (
        "| holds in 1 of 3 readings | does not hold (0.005; 0.011 and 0.005) | does not hold (0.4; 0.4 and 0.4) |"
        in row
    )
    assert "All of 1c-nmse, 1d-eprop1, 1d-binary, 1d-clopath, 1-rate hold at once in 0 of 3 readings." in lines
    both = [result for result in found if result.claim in ("1d-eprop1", "1d-binary")]
    assert "All of 1d-eprop1, 1d-binary hold at once in 1 of 3 readings." in readings_page.page(CLAIMS, both, [plain])
    assert any(line.startswith("| a_try | a try | 27 of 27 | 0 | abc (27) | cpu (27) |") for line in lines)


def test_the_committed_readings() -> None:
    """Every study can be loaded; what is chosen has the values that our figures use; the file of results fits."""
    universes = universe.load()
    assert {each.figure for each in universes} == {"fig1", "fig2", "fig3", "fig4"}
    for each in universes:
        task, study = get_task(each.study.task), each.study
        fields = {key: value for key, value in each.chosen.items() if key != "measure"}
        for variant in study.variants if fields else ():
            default = task.config(**task.variant(variant).settings)
            assert fields == {key: getattr(default, key) for key in fields}
        assert set(study.seeds) == {100, 101, 102}
        assert not set(each.claims) - {claim.id for claim in CLAIMS}
    listed = [each.reading(*values) for each in universes for values in each.readings()]
    assert list(dict.fromkeys(str(result.reading) for result in read_results())) == [str(each) for each in listed]
    judged = [result for each in universes for result in judge(each, CLAIMS)]
    assert sorted(map(str, judged)) == sorted(map(str, read_results())), "run `repro readings`"
    for figure in ("fig1", "fig3", "fig4"):
        assert any("literal" in reading.roles for reading in listed if reading.figure == figure)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('study = "no_such"', "unknown study 'no_such'"),
        ('stduy = "pattern_generation_multiverse"', "unknown key 'stduy'"),
        ('study = "store_recall_multiverse_rate"\nchosen = { rate_loss = "x" }', "chosen is none of its readings"),
        ('study = "store_recall_multiverse_rate"\nothers = "pattern_generation_multiverse"', "is of another task"),
    ],
)
def test_a_list_of_readings_with_a_mistake(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "readings.toml"
    path.write_text(f"[[fig1]]\n{text}\n")
    with pytest.raises(UserError, match=why):
        universe.load(path)
