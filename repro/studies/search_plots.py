"""A search as a picture: its history, the importances of keys, two keys as a landscape, the score against each key."""

import functools
import math
from collections.abc import Callable, Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import FloatDistribution, IntDistribution

from repro.drawing import GREY, INK, WARNING, WIDTH, grid, plain_log
from repro.jobs.job import JobStates
from repro.jobs.trials import distribution
from repro.runs.config import Value
from repro.runs.registry import get_task
from repro.studies.ranking import Row
from repro.studies.spec import StudySpec
from repro.studies.trials import Choice, importances, in_order

COLUMNS = 3
HEIGHT = 1.75  # inches, of a row of panels
COLOUR_MAP = "YlGnBu"
LIGHT = "#bbbbbb"
MARGIN = 0.04  # of an axis, beyond its range


def search_figure(study: StudySpec, states: JobStates) -> Figure:
    """The figure of a study with a sampler. Points without a finite score are left out."""
    rows = in_order(study, states)
    draw: list[Callable[[Axes], None]] = [lambda axes: _history(study, axes, rows)]
    if len(study.keys) > 1:
        parts = importances(study, rows)
        draw.append(lambda axes: _importances(axes, parts))
        numeric = [key for key in parts or study.keys if _axis(study, key) is not None]
        if len(numeric) > 1:
            draw.append(lambda axes: _landscape(study, axes, rows, numeric[0], numeric[1]))
    draw += [functools.partial(_slice, study, rows, key) for key in study.keys]
    columns = min(COLUMNS, len(draw))
    down = math.ceil(len(draw) / columns)
    figure = Figure(figsize=(WIDTH, 0.35 + HEIGHT * down))
    panels = grid(figure, down, columns, left=0.55, right=0.45, top=0.4, bottom=0.4, between=(0.65, 0.6)).ravel()
    for axes, panel in zip(panels, draw, strict=False):
        panel(axes)
    for axes in panels[len(draw) :]:
        axes.set_axis_off()
    figure.text(0.06 / WIDTH, 1 - 0.14 / figure.get_figheight(), _caption(study, rows))
    return figure


def _caption(study: StudySpec, rows: Sequence[Row]) -> str:
    hidden = sum(not math.isfinite(row.score) for row in rows)
    left_out = f"; {hidden} without a result left out" if hidden else ""
    seeds = f"{study.objective} over {len(study.seeds)} seeds (grey: each seed; open: seeds missing)"
    return f"{study.name}: {len(rows)} points{left_out}; {seeds}; dotted line: the task's value"


def _score(study: StudySpec) -> str:
    return "distance" if study.printed else study.metrics[0]


def _history(study: StudySpec, axes: Axes, rows: Sequence[Row]) -> None:
    numbered = [(number, row) for number, row in enumerate(rows, 1) if math.isfinite(row.score)]
    _dots(study, axes, [number for number, _ in numbered], [row for _, row in numbered])
    smaller = bool(study.printed) or study.direction == "minimize"
    best, known, at = (min if smaller else max), list[float](), list[int]()
    for number, row in numbered:
        if not row.lacking:
            known.append(best([*known[-1:], row.score]))
            at.append(number)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.step(at, known, where="post", color=WARNING)
    axes.set(xlabel="point", ylabel=_score(study), title="history and best so far", xlim=(0.5, max(len(rows), 1) + 0.5))


def _importances(axes: Axes, parts: dict[str, float]) -> None:
    keys = list(parts)[::-1]  # the most important on top
    axes.set(title="importance (fANOVA)", xlim=(0, 1), ylim=(-0.6, max(len(keys), 1) - 0.4))
    axes.barh(range(len(keys)), [parts[key] for key in keys], height=0.6, color=GREY)
    axes.set_yticks(range(len(keys)), keys)
    axes.tick_params(axis="y", length=0)
    if not parts:
        axes.text(0.5, 0, "wants four points whose scores differ", ha="center", va="center", color=GREY, fontsize=6)


def _landscape(study: StudySpec, axes: Axes, rows: Sequence[Row], across: str, up: str) -> None:
    drawn = [row for row in rows if math.isfinite(row.score)]
    scores = [row.score for row in drawn]
    shade = Normalize(min(scores, default=0.0), max(scores, default=1.0))
    xs, ys = ([dict(row.point)[key] for row in drawn] for key in (across, up))
    dots = axes.scatter(
        xs, ys, c=scores, cmap=colormaps[COLOUR_MAP], norm=shade, s=22, edgecolor=INK, linewidth=0.4, zorder=2
    )
    bar = axes.figure.colorbar(dots, cax=axes.inset_axes((1.03, 0.0, 0.04, 1.0)))
    bar.outline.set_visible(False)
    axes.set(xlabel=across, ylabel=up, title=_score(study))
    _scale(study, axes, across, "x")
    _scale(study, axes, up, "y")


def _slice(study: StudySpec, rows: Sequence[Row], key: str, axes: Axes) -> None:
    drawn = [row for row in rows if math.isfinite(row.score)]
    values = [dict(row.point)[key] for row in drawn]
    usual = _usual_value(study, key)
    if _axis(study, key) is None:
        names = list(study.grid[key])
        values = [names.index(value) for value in values]
        usual = names.index(usual) if usual in names else None
        axes.set_xticks(range(len(names)), [str(name) for name in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
    if usual is not None:
        axes.axvline(float(usual), color=GREY, linewidth=0.6, linestyle=":")
    _dots(study, axes, [float(value) for value in values], drawn)
    axes.set(xlabel=key, ylabel=_score(study))
    _scale(study, axes, key, "x")


def _dots(study: StudySpec, axes: Axes, xs: Sequence[float], rows: Sequence[Row]) -> None:
    """Scores over seeds, open where seeds are missing; behind them the seeds' values."""
    if not study.printed:
        seeds = [(x, v) for x, row in zip(xs, rows, strict=True) for cell in row.cells.values() for v in cell.values]
        good = [(x, value) for x, value in seeds if math.isfinite(value)]
        axes.scatter([x for x, _ in good], [value for _, value in good], s=4, color=LIGHT, linewidth=0)
    faces = ["white" if row.lacking else INK for row in rows]
    axes.scatter(xs, [row.score for row in rows], s=12, facecolor=faces, edgecolor=INK, linewidth=0.7, zorder=2)


def _axis(study: StudySpec, key: str) -> FloatDistribution | IntDistribution | None:
    """The numbers of a key's axis; None where it has none."""
    choices: dict[str, Choice] = {**study.grid, **study.ranges}
    kind = distribution(choices[key])
    return kind if isinstance(kind, FloatDistribution | IntDistribution) else None


def _scale(study: StudySpec, axes: Axes, key: str, which: str) -> None:
    """Let an axis span all that may be tried, so that empty parts can be seen."""
    kind = _axis(study, key)
    if kind is None:
        return
    low, high = float(kind.low), float(kind.high)
    if kind.log:
        margin = (high / low) ** MARGIN
        axes.set(**{f"{which}scale": "log", f"{which}lim": (low / margin, high * margin)})
        plain_log(axes.xaxis if which == "x" else axes.yaxis)
    else:
        margin = MARGIN * (high - low or 1)
        axes.set(**{f"{which}lim": (low - margin, high + margin)})


def _usual_value(study: StudySpec, key: str) -> Value | None:
    """The value that a run has without the study; None where it is not among those tried."""
    task = get_task(study.task)
    config = task.config(**task.variant(study.variants[0]).settings)
    value: Value = getattr(config, key)
    choices: dict[str, Choice] = {**study.grid, **study.ranges}
    return value if value in choices[key] else None
