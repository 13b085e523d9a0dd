"""Figure 1, panels c to e: e-prop 1 and the rules it is compared with learn to generate three patterns (task 1.1)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from paper_figures import style
from paper_figures.sheet import Part, Sheet
from paper_figures.table import Table, mean_interval
from repro.claims.stats import interval_of_mean
from repro.claims.survival import median

EXAMPLE = "e_prop_1"  # the variant that 1c shows
AS_IN_PAPER = ("bptt", "e_prop_1", "resampled_20ms", "resampled_1ms")  # the curves of 1e
BIN = 10  # trials per point of a learning curve


def draw(where: str | Path = "runs", panels: Sequence[str] | None = None, out: Path | None = None) -> list[Path]:
    """Draw panels (all, if None) from the records under `where`; see `Sheet.draw`."""
    return Sheet("fig1", _PARTS, (("1c",), ("1d", "1e"))).draw(where, panels, out)


def panel_c(figure: style.Panel, table: Table) -> None:
    """Targets, readouts, spikes of 20 neurons and the clock input, after 1, 100 and 500 trials; one seed."""
    label = table.task.variants[EXAMPLE].label
    if table.absence(EXAMPLE):
        style.head(figure, "c", label)
        axes = style.grid(figure, 1, 1, left=0.8, right=0.15, top=0.42, bottom=0.38)[0, 0]
        style.missing(axes, f"{label}: {table.absence(EXAMPLE)}")
        return
    record, arrays = table.example(
        EXAMPLE, "nmse", "target", "snapshot_trials", "snapshot_readout", "snapshot_spikes", "input_spikes"
    )
    style.head(
        figure, "c", f"{label}, seed {record.seed}: target grey, readout blue, normalised mse (nmse){_median(table)}"
    )
    n_out = arrays["target"].shape[1]
    grid = style.grid(
        figure,
        n_out + 2,
        len(arrays["snapshot_trials"]),
        left=0.8,
        right=0.15,
        top=0.42,
        bottom=0.38,
        between=(0.25, 0.09),
        sharex=True,
        sharey="row",
        height_ratios=[1.0] * n_out + [1.9, 0.9],
    )
    for column, trial in enumerate(arrays["snapshot_trials"]):
        axes = grid[:, column]
        axes[0].set_title(f"after {trial} trial{'s' if trial > 1 else ''}: nmse {arrays['nmse'][trial - 1]:.3f}", pad=4)
        for k in range(n_out):
            axes[k].plot(arrays["target"][:, k], color=style.PALE, lw=2.4)
            axes[k].plot(arrays["snapshot_readout"][column, :, k], color=style.COLOURS[EXAMPLE], lw=0.9)
        style.raster(axes[-2], arrays["snapshot_spikes"][column], 0.5)
        style.raster(axes[-1], arrays["input_spikes"].T, 0.3)
        axes[-1].set_xlabel("time (ms)")
    shown = arrays["snapshot_spikes"].shape[1]
    _name_rows(grid, f"{shown} of {record.config['n_rec']}\nneurons", f"{record.config['n_in']} clock\ninputs")


def _median(table: Table) -> str:
    """The statistic that the claim on this panel is judged by, beside the paper's value."""
    middle = median(*table.times(EXAMPLE, "nmse_500"))
    if not np.isfinite(middle):
        return ""
    return "".join(
        f"; after 500 trials, median over seeds {middle:.3f}, {x:g} in the paper" for x in table.printed("1c").values()
    )


def _name_rows(grid: np.ndarray, *rasters: str) -> None:
    """Name the rows at the left, and keep only the axis lines that carry a scale."""
    names = [f"readout {k + 1}" for k in range(len(grid) - len(rasters))] + list(rasters)
    for row, name in zip(grid, names, strict=True):
        style.name_row(row[0], name)
    for axes in grid[:-1].flat:
        axes.tick_params(bottom=False)
        axes.spines.bottom.set_visible(False)
    for axes in [*grid[:, 1:].flat, *grid[-len(rasters) :].flat]:
        axes.tick_params(left=False)
        axes.spines.left.set_visible(False)


def panel_d(figure: style.Panel, table: Table) -> None:
    """One bar per variant: mean normalised mse after training, 95 % interval, one dot per seed, the paper's value."""
    style.head(figure, "d", f"After training: {table.of_seeds('mean')}")
    variants, paper = list(table.task.variants), table.printed("1d")
    columns = _columns(table, paper)
    numbers = sum(width for width, _, _ in columns)
    axes, gutter = style.grid(
        figure, 1, 2, left=0.8, right=0.12, top=0.32, bottom=0.38, sharey=True, width_ratios=(2.48 - numbers, numbers)
    )[0]
    data = table.finished.reindex(columns=["variant", "nmse"])
    sns.barplot(
        data,
        x="nmse",
        y="variant",
        order=variants,
        hue="variant",
        hue_order=variants,
        legend=False,
        palette={variant: style.COLOURS[variant] for variant in variants},
        saturation=1,
        alpha=0.45,
        width=0.74,
        capsize=0.25,
        ax=axes,
        errorbar=interval_of_mean,
        err_kws={"color": style.INK, "linewidth": 0.8, "zorder": 4},
    )
    for row, variant in enumerate(variants):
        seeds = table.values(variant, "nmse")
        style.dots(axes, seeds, row, style.COLOURS[variant])
        style.lost(axes, table.failures(variant), row, style.COLOURS[variant])
    for variant, value in paper.items():
        style.diamond(axes, value, variants.index(variant))
    shown = [*data.nmse, *paper.values()] or [1.0]
    axes.set(
        xscale="log",
        xlim=(min(shown) / 2, max(shown) * 1.6),
        ylim=(len(variants) - 0.4, -0.6),
        xlabel="normalised mse",
        ylabel="",
    )
    style.plain_log(axes.xaxis)
    axes.set_yticks(range(len(variants)), [table.task.variants[variant].label for variant in variants])
    axes.tick_params(axis="y", left=False)
    style.numbers(gutter, variants, columns)


def _columns(table: Table, paper: Mapping[str, float]) -> list[style.Column]:
    """The numbers behind the bars: width in inches, name, variant -> text. Seeds only where bars differ in them."""
    variants = table.task.variants
    ours = {v: table.absence(v) or f"{table.values(v, 'nmse').mean():.3f}" for v in variants}
    counts = {v: table.count(v) for v in variants}
    columns: list[style.Column] = [(0.4, "ours", ours)]
    if paper:
        columns.append((0.52, "\N{BLACK DIAMOND} paper", {v: f"{value:.3f}" for v, value in paper.items()}))
    if len(set(counts.values())) > 1:
        columns.append((0.44, "seeds", counts))
    return columns


def panel_e(figure: style.Panel, table: Table) -> None:
    """Learning curves, geometric mean over seeds with its 95 % interval: the paper's four at the left, all others
    at the right with e-prop 1 to compare."""
    style.head(figure, "e", f"Learning curves: {table.of_seeds('geometric mean')}")
    curves = table.curves("nmse")
    others = (EXAMPLE, *(variant for variant in table.task.variants if variant not in AS_IN_PAPER))
    both = style.grid(
        figure, 1, 2, left=0.5, right=0.75, top=0.32, bottom=0.38, between=(0.62, 0), sharex=True, sharey=True
    )[0]
    ends = [
        {variant: _curve(axes, curves[variant], variant) for variant in variants if variant in curves}
        for axes, variants in zip(both, (AS_IN_PAPER, others), strict=True)
    ]
    both[0].set(yscale="log", ylabel="normalised mse")
    style.plain_log(both[0].yaxis)
    for axes, variants, end in zip(both, (AS_IN_PAPER, others), ends, strict=True):
        axes.set(xlabel="iteration", xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10], integer=True))
        label = {v: table.task.variants[v].label for v in variants}
        absent = {why: [label[v] for v in variants if table.absence(v) == why] for why in ("failed", "not run")}
        style.label_ends(axes, {label[v]: (y, style.COLOURS[v]) for v, y in end.items()}, absent)


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


_PARTS = {
    "1c": Part("pattern_generation", (style.WIDTH, 3.5), panel_c),
    "1d": Part("pattern_generation", (3.4, 2.7), panel_d),
    "1e": Part("pattern_generation", (3.7, 2.7), panel_e),
}
PANELS = tuple(_PARTS)
