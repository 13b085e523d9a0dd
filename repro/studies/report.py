"""A study as files: a table with a row a point, the best first; the picture; and what Optuna reads."""

import math
from pathlib import Path

from repro.drawing import save
from repro.jobs.job import JobStates, settings_text
from repro.records.store import POINTS, TABLE
from repro.studies.plots import draw
from repro.studies.ranking import Cell, Row, rank
from repro.studies.spec import StudySpec
from repro.text import markdown_table


def write(study: StudySpec, states: JobStates, out: Path) -> list[Path]:
    """Write table.md, points.log and the picture into a folder. Raises UserError when that cannot be done."""
    from repro.studies.trials import in_order, journal  # imports Optuna

    files = {
        TABLE: table(study, states).encode(),
        POINTS: journal(study, in_order(study, states)),
    }
    return save({**files, **draw(study, states)}, out)


def table(study: StudySpec, states: JobStates) -> str:
    """A Markdown page with a table: score, objective and standard deviation over seeds, and over fresh ones."""
    rows = rank(study, states)
    keys = study.keys
    metrics = ["metric"] if len(study.metrics) > 1 else []
    scores = [_score_name(study)] if _score_name(study) else []
    fresh = [f"{variant}, fresh seeds" for variant in study.variants] if study.best_seeds else []
    lines = [keys + metrics + scores + [_title(study, variant) for variant in study.variants] + fresh]
    for row in rows:
        cells = [cell_text(row.cells[variant]) for variant in study.variants]
        again = [_fresh_text(row.fresh[variant]) for variant in study.variants] if fresh else []
        head = [str(value) for _, value in row.point] + ([row.metric] if metrics else [])
        lines.append(head + ([number(row.score)] if scores else []) + cells + again)
    return f"# {study.name}\n\n{study.about}\n\n{_legend(study)}\n\n{markdown_table(lines)}\n"


def best_line(study: StudySpec, row: Row) -> str:
    """ "v_th=0.5 beta=0.03: iterations 93 ± 4"."""
    results = ", ".join(
        f"{row.metric}{f' of {variant}' if len(study.variants) > 1 else ''} {cell_text(row.cells[variant])}"
        for variant in study.variants
    )
    again = [_fresh_text(cell) for cell in row.fresh.values() if cell.values]
    return f"{settings_text(row.point)}: {results}" + (f"; with fresh seeds {', '.join(again)}" if again else "")


def cell_text(cell: Cell) -> str:
    """ "93 ± 4"; "≥ 200 ± 0" where a seed is a lower bound; and how many seeds have no result."""
    notes = [f"{n} {what}" for n, what in ((cell.pruned, "stopped early"), (cell.open, "to come")) if n]
    lost = sum(not math.isfinite(value) for value in cell.values)
    notes += [f"{lost} lost"] if lost else []
    text = ("≥ " if cell.bounds else "") + number(cell.centre) if math.isfinite(cell.centre) else ""
    text += "" if math.isnan(cell.spread) else f" ± {cell.spread:.2g}"
    return " ".join(filter(None, [text, f"({', '.join(notes)})" if notes else ""]))


def number(value: float) -> str:
    """Four digits, or nothing for what is not a number."""
    return f"{value:.4g}" if math.isfinite(value) else ""


def _fresh_text(cell: Cell) -> str:
    return cell_text(cell) if cell.values else ""


def _title(study: StudySpec, variant: str) -> str:
    metric = f"{study.metrics[0]}, " if len(study.metrics) == 1 else ""
    paper = f" (paper: {study.printed[variant]:g})" if study.printed else ""
    return f"{metric}{variant}{paper}"


def _score_name(study: StudySpec) -> str:
    if study.printed:
        return "distance"
    return "mean" if len(study.variants) > 1 else ""


def _legend(study: StudySpec) -> str:
    over = f"{study.objective} ± standard deviation over seeds {_list(study.seeds)}"
    seeds = f"Task {study.task}, profile {study.profile}; {over}"
    fresh = f", the best {study.best} again with seeds {_list(study.best_seeds)}" if study.best_seeds else ""
    order = "" if study.printed else f" Best means: {study.direction}."
    ranked = f" Distance: the sum over variants of |log({study.objective} / paper)|." if study.printed else order
    fixed = f" Settings: {settings_text(study.settings.items())}." if study.settings else ""
    drawn = f" Points: {how_drawn(study)}." if study.sampler else ""
    bound = "≥: a seed that did not reach it counts as the run's length, a lower bound."
    return f"{seeds}{fresh}.{fixed}{drawn}{ranked} {bound}"


def how_drawn(study: StudySpec) -> str:
    """ "8 first ones, then 12 by tpe (seed 0)"; "30 by random (seed 0), at most 10 hours of runs"."""
    sampler = study.sampler
    if not sampler:
        return f"{len(study.points)} of a grid"
    first = f"{len(study.points)} first ones, then " if study.points else ""
    hours = f", at most {sampler.hours:g} hours of runs" if sampler.hours else ""
    return f"{first}{sampler.points} by {sampler.name} (seed {sampler.seed}){hours}"


def _list(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))
