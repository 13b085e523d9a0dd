"""Each claim of a figure in each reading of the text, judged on the tables of the studies that train the readings.

repro.claims.in_the_mean states what "holds" means with three seeds. A reading is finished for a claim when all seeds of
all variants that the claim compares have ended, a lost run included; before that it is "unfinished", never "no".
"""

from collections.abc import Callable, Sequence

import pandas as pd

from repro.claims.claim import PaperClaim
from repro.claims.evidence import Evidence
from repro.claims.in_the_mean import in_the_mean, variants_of
from repro.claims.multiverse import Holds, ReadingResult
from repro.jobs.job import Point
from repro.runs.registry import get_task
from repro.studies.spec import StudySpec
from repro.studies.table import CONFIG, DATA, ENDED, FIRST, LAST, STATE, Row, read_paper
from repro.studies.universe import Universe

Read = Callable[[StudySpec], list[Row]]


def judge(universe: Universe, claims: Sequence[PaperClaim], read_table: Read = read_paper) -> list[ReadingResult]:
    """The results of all claims that the study is about, reading by reading. Raises UserError for a broken table."""
    claims = [claim for claim in claims if _is_about(universe, claim)]
    units = {claim.share.unit for claim in claims if claim.share and claim.share.unit}
    ours, others = read_table(universe.study), read_table(universe.others) if universe.others else []
    results: list[ReadingResult] = []
    for point, measure in universe.readings():
        rows = _at(universe.study, point, ours) + _others(universe, point, others)
        frame = _frame(universe, point, measure, rows, units)
        evidence = Evidence(frame, _hashes(universe), lenient=universe.orders_only)
        reading = universe.reading(point, measure)
        results += [ReadingResult(claim.id, reading, *_holds(universe, claim, frame, evidence)) for claim in claims]
    return results


def _is_about(universe: Universe, claim: PaperClaim) -> bool:
    """Whether the claim is of the study's figure and task, and its variants are trained, at least one by the study."""
    if (claim.figure, claim.task) != (universe.figure, universe.study.task) or claim.kind == "no claim":
        return False
    if universe.claims:
        return claim.id in universe.claims
    needed = set(variants_of(claim, not universe.orders_only))
    return bool(needed & set(universe.study.variants)) and needed <= set(_trained(universe))


def _trained(universe: Universe) -> tuple[str, ...]:
    return universe.study.variants + (universe.others.variants if universe.others else ())


def _hashes(universe: Universe) -> dict[tuple[str, str], tuple[str, ...]]:
    """All rows of a reading count: they are of one config a variant, whose hash the frame has not."""
    return {(universe.study.task, variant): ("",) for variant in _trained(universe)}


def _at(study: StudySpec, point: Point, rows: Sequence[Row]) -> list[Row]:
    values = {key: str(value) for key, value in point if key in study.grid}
    return [row for row in rows if all(row[key] == value for key, value in values.items())]


def _others(universe: Universe, point: Point, rows: Sequence[Row]) -> list[Row]:
    """The runs of variants that the study has not, at the same point."""
    there = _at(universe.others, point, rows) if universe.others else []
    return [row for row in there if row["variant"] not in universe.study.variants]


def _frame(universe: Universe, point: Point, measure: str, rows: Sequence[Row], units: set[str]) -> pd.DataFrame:
    """The rows as repro.records.frames.load gives them, as far as claims need it; `units` are config keys."""
    keys = {*FIRST, *STATE, *LAST, DATA, CONFIG, *_keys(universe)}
    names = list(dict.fromkeys(name for row in rows for name in row if name not in keys))
    frame = pd.DataFrame(
        [{key: row[key] for key in ("task", "variant", "status", "reason")} for row in rows],
        columns=["task", "variant", "status", "reason"],
    )
    frame["seed"] = [int(row["seed"]) for row in rows]
    frame["config_hash"] = frame["device"] = ""
    for name in names:
        frame[name] = [float(row.get(name) or "nan") for row in rows]
    if measure:
        frame = _measured(frame, universe.measures[measure])
    task = get_task(universe.study.task)
    config = task.config(**{**universe.study.settings, **dict(point)})
    return frame.assign(**{f"config.{key}": getattr(config, key) for key in units})


def _keys(universe: Universe) -> set[str]:
    """The keys of the readings."""
    return {*universe.study.grid, *(universe.others.grid if universe.others else ())}


def _measured(frame: pd.DataFrame, template: str) -> pd.DataFrame:
    """The frame with each metric as a measure has it, "METRIC_mean_of_20" in place of "METRIC", and its mark."""
    for name in list(frame.columns):
        for mark in ("", "_at_least"):
            if (other := template.format(name) + mark) in frame.columns and other != name + mark:
                frame = frame.assign(**{name + mark: frame[other]})
    return frame


def _holds(universe: Universe, claim: PaperClaim, frame: pd.DataFrame, evidence: Evidence) -> tuple[Holds, str]:
    """ "yes", "no" or "unfinished", and our numbers."""
    ended = frame[frame["status"].isin(ENDED)]
    compare_value = not universe.orders_only
    for variant in variants_of(claim, compare_value):
        study = universe.study if variant in universe.study.variants else universe.others
        if study and not set(study.seeds) <= set(ended["seed"][ended["variant"] == variant]):
            return "unfinished", ""
    holds, observed = in_the_mean(claim, evidence, compare_value)
    return "unfinished" if holds is None else "yes" if holds else "no", observed
