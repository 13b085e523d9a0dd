"""Figure 1d, e: the error of nine learning rules after training, and while they learn (task 1.1)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from paper_figures import rows, style
from paper_figures.fig1c import EXAMPLE
from paper_figures.table import Table, mean_interval

AS_IN_PAPER = ("bptt", "e_prop_1", "resampled_20ms", "resampled_1ms")  # the curves of 1e
BIN = 10  # trials per point of a learning curve
RESAMPLED = "20 ms, 1 ms: new random feedback matrix every 20 ms, every 1 ms"
ERROR = "normalised mse (mse / variance of targets)"


def panel_d(figure: style.Panel, table: Table) -> None:
    """A row a variant: mean normalised mse after training, 95 % interval, one dot per seed, the paper's value."""
    style.head(figure, "d", "Error after training")
    style.note(figure, f"{table.of_seeds('mean')}\n{RESAMPLED}")
    variants, paper = list(table.task.variants), table.printed("1d")
    labels = {variant: table.task.variants[variant].label for variant in variants}
    axes = rows.make(figure, labels, _columns(table, paper), left=0.78, width=2.58, top=0.74, bottom=0.38)
    shown = [1.0, *paper.values()]
    for row, variant in enumerate(variants):
        seeds = table.values(variant, "nmse")
        rows.mean(axes, row, seeds, style.COLOURS[variant])
        rows.lost(axes, row, table.failures(variant), style.COLOURS[variant])
        shown += [*seeds]
    for variant, value in paper.items():
        rows.paper(axes, variants.index(variant), value)
    axes.set(xscale="log", xlim=(min(shown) / 1.5, max(shown) * 1.5), xlabel=ERROR)
    style.plain_log(axes.xaxis)
    style.key(figure, rows.handles("mean", table.several(), bool(paper)), (0.12, 0.5))


def _columns(table: Table, paper: Mapping[str, float]) -> list[rows.Column]:
    """The numbers beside the points: width in inches, name, variant -> text. Seeds only where rows differ in them."""
    variants = table.task.variants
    ours = {v: table.absence(v) or f"{table.values(v, 'nmse').mean():.3f}" for v in variants}
    columns: list[rows.Column] = [(0.4, "ours", ours)]
    if paper:
        columns.append((0.42, "paper", {v: f"{value:.3f}" for v, value in paper.items()}))
    return columns + table.seeds_column(0.42)


def panel_e(figure: style.Panel, table: Table) -> None:
    """Learning curves, geometric mean over seeds with its 95 % interval: the paper's four at the left, all others
    at the right with e-prop 1 to compare."""
    style.head(figure, "e", "Learning curves")
    style.note(figure, f"{table.of_seeds('geometric mean')}\n{RESAMPLED}")
    curves = table.curves("nmse")
    others = (EXAMPLE, *(variant for variant in table.task.variants if variant not in AS_IN_PAPER))
    margins = {"left": 0.5, "right": 0.78, "top": 0.74, "bottom": 0.38}
    both = style.grid(figure, 1, 2, between=(0.68, 0), sharex=True, sharey=True, **margins)[0]
    ends = [
        {variant: _curve(axes, curves[variant], variant) for variant in variants if variant in curves}
        for axes, variants in zip(both, (AS_IN_PAPER, others), strict=True)
    ]
    both[0].set(yscale="log", ylabel=ERROR)
    style.plain_log(both[0].yaxis)
    for axes, variants, end in zip(both, (AS_IN_PAPER, others), ends, strict=True):
        axes.set(xlabel="iteration", xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10], integer=True))
        label = {v: table.task.variants[v].label for v in variants}
        absent = {why: [label[v] for v in variants if table.absence(v) == why] for why in ("failed", "not run")}
        named = {label[v]: style.End(y, style.COLOURS[v]) for v, y in end.items()}
        style.label_ends(axes, named, absent, right=1.1)


def _curve(axes: Axes, curves: np.ndarray, variant: str) -> float:
    """Draw one variant's curves [seed, trial] as one line and a band; return where the line ends."""
    width = BIN if curves.shape[1] >= 10 * BIN else 1
    whole = curves[:, : curves.shape[1] // width * width]
    logs = np.log(whole).reshape(len(whole), -1, width).mean(2)
    trial = (np.arange(logs.shape[1]) + 0.5) * width + 0.5
    low, high = np.exp(mean_interval(logs))
    line = np.exp(logs.mean(0))
    axes.fill_between(trial, low, high, color=style.COLOURS[variant], alpha=0.2, lw=0)
    axes.plot(trial, line, color=style.COLOURS[variant])
    return float(line[-1])
