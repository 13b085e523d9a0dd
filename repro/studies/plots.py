"""A study as a picture: of a grid heatmaps over up to three numeric axes, or dots where the axes are choices."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from repro.drawing import GREY, INK, WIDTH, grid, plain_log, render, theme
from repro.jobs.job import JobStates
from repro.records.store import PICTURE
from repro.runs.config import Value
from repro.runs.registry import get_task
from repro.studies.ranking import Cell, Row, rank
from repro.studies.spec import StudySpec

MOST_ROWS = 40  # of a dot plot
COLOUR_MAP = "YlGnBu"
INKS = (INK, "#0072b2", "#c84a00", "#009e73", "#661144", "#e69f00", "#56b4e9", GREY)  # of variants, in turn


def draw(study: StudySpec, states: JobStates) -> dict[str, bytes]:
    """The picture as NAME -> bytes, SVG and PNG."""
    with theme():
        return render(_figure(study, states), PICTURE)


def _figure(study: StudySpec, states: JobStates) -> Figure:
    if study.sampler:
        from repro.studies.search_plots import search_figure  # imports Optuna

        return search_figure(study, states)
    rows = rank(study, states)
    return _heatmaps(study, rows) if _is_numeric(study) else _dots(study, rows)


def axes_of(study: StudySpec) -> list[str]:
    """The grid's keys that have more than one value; the last is drawn across, the one before it upwards."""
    return [key for key, values in study.grid.items() if len(values) > 1] or list(study.grid)[-1:]


def _is_numeric(study: StudySpec) -> bool:
    keys = axes_of(study)
    numbers = all(type(value) in (int, float) for key in keys for value in study.grid[key])
    return numbers and len(keys) <= 3 and len(study.metrics) == 1 and not study.printed


def _heatmaps(study: StudySpec, rows: Sequence[Row]) -> Figure:
    keys = axes_of(study)
    columns: tuple[Value | None, ...] = tuple(sorted(study.grid[keys[-3]])) if len(keys) == 3 else (None,)
    down = len(study.grid[keys[-2]]) if len(keys) > 1 else 1
    high = 0.24 * down + 0.75
    figure = Figure(figsize=(WIDTH, 0.3 + high * len(study.variants)))
    panels = grid(
        figure, len(study.variants), len(columns), left=0.7, right=0.15, top=0.45, bottom=0.4, between=(0.35, 0.7)
    )
    means = [cell.centre for row in rows for cell in row.cells.values() if math.isfinite(cell.centre)]
    shade = Normalize(min(means, default=0.0), max(means, default=1.0))
    for variant, across in zip(study.variants, panels, strict=True):
        for value, axes in zip(columns, across, strict=True):
            chosen = [row for row in rows if value is None or dict(row.point)[keys[-3]] == value]
            _heatmap(study, axes, chosen, variant, shade)
            named = [f"{keys[-3]} = {value:g}"] if value is not None else []
            axes.set_title(", ".join([variant] * (len(study.variants) > 1) + named), fontsize=7)
        across[0].set_ylabel(keys[-2] if len(keys) > 1 else "")
    figure.text(0.06 / WIDTH, 1 - 0.14 / figure.get_figheight(), _caption(study))
    return figure


def _heatmap(study: StudySpec, axes: Axes, rows: Sequence[Row], variant: str, shade: Normalize) -> None:
    keys = axes_of(study)
    across = sorted(study.grid[keys[-1]])
    up: list[Value | None] = [*sorted(study.grid[keys[-2]])] if len(keys) > 1 else [None]
    paper = _paper_point(study, variant)
    for row in rows:
        point = dict(row.point)
        x, y = across.index(point[keys[-1]]), up.index(point[keys[-2]]) if len(keys) > 1 else 0
        cell = row.cells[variant]
        mean = cell.centre
        colour = colormaps[COLOUR_MAP](float(shade(mean))) if math.isfinite(mean) else "#f2f2f2"
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.6))
        dark = math.isfinite(mean) and shade(mean) > 0.6
        axes.text(x, y, _inside(cell), ha="center", va="center", fontsize=6, color="white" if dark else INK)
        if all(paper[key] == value for key, value in row.point):
            frame = Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False, edgecolor="#c84a00", linewidth=1.2)
            axes.add_patch(frame)
    axes.set(xlim=(-0.5, len(across) - 0.5), ylim=(-0.5, len(up) - 0.5), xlabel=keys[-1])
    axes.set_xticks(range(len(across)), [f"{value:g}" for value in across])
    axes.set_yticks(range(len(up)), ["" if value is None else f"{value:g}" for value in up])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _inside(cell: Cell) -> str:
    if not cell.values:
        return "stopped" if cell.pruned else ""
    if not math.isfinite(cell.centre):
        return "lost"
    return ("≥ " if cell.bounds else "") + f"{cell.centre:.3g}" + ("*" if cell.pruned or cell.open else "")


def _paper_point(study: StudySpec, variant: str) -> dict[str, Value]:
    """The grid's values as the paper has them."""
    task = get_task(study.task)
    config = task.config(**task.variant(variant).settings)
    return {key: getattr(config, key) for key in study.grid}


def _caption(study: StudySpec) -> str:
    what = f"{study.name}: {study.metrics[0]}, {study.objective} over {len(study.seeds)} seeds"
    return f"{what}; ≥ a lower bound, * fewer seeds, stopped: pruned; frame: the paper's"


def _dots(study: StudySpec, rows: Sequence[Row]) -> Figure:
    """One line per point: one dot per seed, or with [printed] their mean or median over the printed number."""
    drawn = rows[:MOST_ROWS]
    figure = Figure(figsize=(WIDTH, 0.9 + 0.17 * len(drawn)))
    axes = grid(figure, 1, 1, left=0.58 * WIDTH, right=0.15, top=0.45, bottom=0.4)[0, 0]
    for y, row in enumerate(drawn):
        for variant, cell in row.cells.items():
            xs = [cell.centre / study.printed[variant]] if study.printed else cell.values
            good = [x for x in xs if math.isfinite(x)]
            ink, face = _ink(study, variant), "white" if cell.bounds else _ink(study, variant)
            axes.scatter(good, [y] * len(good), s=14, facecolor=face, edgecolor=ink, linewidth=0.8)
    if study.printed:
        axes.axvline(1, color=GREY, linewidth=0.5)
        axes.set_xscale("log")
    _finish_dots(study, axes, drawn)
    many = f"the {len(drawn)} best of {len(rows)} points" if len(drawn) < len(rows) else f"{len(rows)} points"
    figure.text(
        0.06 / WIDTH, 1 - 0.16 / figure.get_figheight(), f"{study.name}: {many}, the best on top; open: a bound"
    )
    return figure


def _finish_dots(study: StudySpec, axes: Axes, drawn: Sequence[Row]) -> None:
    metrics = ("metric",) if len(study.metrics) > 1 else ()
    labels = [" · ".join([*(str(value) for _, value in row.point), *(row.metric for _ in metrics)]) for row in drawn]
    axes.set_yticks(range(len(drawn)), labels, fontsize=6)
    axes.text(
        -0.01, 1.01, " · ".join([*study.grid, *metrics]), ha="right", va="bottom", fontsize=6, transform=axes.transAxes
    )
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("ours / the paper's" if study.printed else ", ".join(study.metrics))
    low, high = axes.get_xlim()
    if study.printed and np.isfinite([low, high]).all():
        plain_log(axes.xaxis)
    axes.legend(
        handles=[Line2D([], [], linestyle="", marker="o", ms=4, color=_ink(study, v), label=v) for v in study.variants],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderpad=0,
        handletextpad=0,
        ncols=len(study.variants),
        frameon=False,
        fontsize=6,
    )


def _ink(study: StudySpec, variant: str) -> str:
    return INKS[study.variants.index(variant) % len(INKS)]
