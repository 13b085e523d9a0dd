"""Figure 1, panels c to e: e-prop 1 and its rivals learn to generate three patterns (task 1.1)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from paper_figures import style
from paper_figures.table import Table, gather, mean_interval
from repro.claims.claim import load_claims
from repro.claims.stats import bootstrap_interval
from repro.errors import UserError
from repro.records import store
from tasks import get_task

EXAMPLE = "e_prop_1"  # the variant that 1c shows
AS_IN_PAPER = ("bptt", "e_prop_1", "resampled_20ms", "resampled_1ms")  # the curves of 1e
BIN = 10  # trials a point of a learning curve


def draw(where: str | Path = "runs", panels: Sequence[str] | None = None, out: Path | None = None) -> list[Path]:
    """Draw panels from the records under `where` into `out` (results/figures if None); return the files written.

    Each panel becomes fig1c.svg and .png, and so on; all panels together also become fig1.svg and .png. Below the
    paper's size every file is stamped with the profile, and the paper's values are left out. Raises UserError when
    a panel is unknown, a record cannot be read, no record can be drawn, or `out` cannot be written.
    """
    chosen = PANELS if panels is None else tuple(panels)
    for panel in chosen:
        if panel not in _PANELS:
            raise UserError(f"unknown panel {panel!r} of fig1; known: {', '.join(PANELS)}")
    table = gather(get_task("pattern_generation"), where)
    files: dict[str, bytes] = {}
    with style.theme():
        for panel in chosen:
            size, draw_panel = _PANELS[panel]
            figure = Figure(figsize=size)
            draw_panel(figure, table)
            files |= _finish(figure, table, f"fig{panel}")
        if set(chosen) == set(PANELS):
            files |= _finish(_together(table), table, "fig1")
    return style.save(files, store.ROOT / "figures" if out is None else out)


def _together(table: Table) -> Figure:
    """Panel c above, d and e below, each of the size that it has alone."""
    (width, top), (left, bottom), (right, _) = (_PANELS[panel][0] for panel in PANELS)
    figure = Figure(figsize=(width, top + bottom))
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=[top, bottom], hspace=0))
    panel_c(upper, table)
    for subfigure, draw_panel in zip(
        np.asarray(lower.subfigures(1, 2, width_ratios=[left, right], wspace=0)), (panel_d, panel_e), strict=True
    ):
        draw_panel(subfigure, table)
    return figure


def _finish(figure: Figure, table: Table, stem: str) -> dict[str, bytes]:
    if table.stamp:
        style.stamp(figure, table.stamp)
    return style.render(figure, stem)


def printed(table: Table, panel: str) -> dict[str, float]:
    """Variant -> the value that the paper prints in a panel; empty below the paper's size."""
    return {
        claim.variant: claim.claimed
        for claim in load_claims()
        if (claim.task, claim.panel, claim.kind) == (table.task.name, panel, "value")
        and claim.claimed is not None
        and not table.stamp
    }


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
    paper = "".join(f", {value:g} in the paper" for value in printed(table, "1c").values())
    style.head(figure, "c", f"{label}, seed {record.seed}: target grey, readout blue, normalised mse (nmse){paper}")
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
        _raster(axes[-2], arrays["snapshot_spikes"][column], 0.5)
        _raster(axes[-1], arrays["input_spikes"].T, 0.3)
        axes[-1].set_xlabel("time (ms)")
    shown = arrays["snapshot_spikes"].shape[1]
    _name_rows(grid, f"{shown} of {record.config['n_rec']}\nneurons", f"{record.config['n_in']} clock\ninputs")


def _raster(axes: Axes, spikes: np.ndarray, width: float) -> None:
    """A tick a spike; spikes [neuron, time]."""
    neuron, time = np.nonzero(spikes)
    axes.vlines(time, neuron + 0.1, neuron + 0.9, color=style.INK, lw=width)
    axes.set(xlim=(0, spikes.shape[1]), ylim=(0, len(spikes)), yticks=[])


def _name_rows(grid: np.ndarray, *rasters: str) -> None:
    """Name the rows at the left, and keep only the axis lines that carry a scale."""
    names = [f"readout {k + 1}" for k in range(len(grid) - len(rasters))] + list(rasters)
    for row, name in zip(grid, names, strict=True):
        row[0].annotate(name, (0, 0.5), (-18, 0), "axes fraction", "offset points", ha="right", va="center")
    for axes in grid[:-1].flat:
        axes.tick_params(bottom=False)
        axes.spines.bottom.set_visible(False)
    for axes in [*grid[:, 1:].flat, *grid[-len(rasters) :].flat]:
        axes.tick_params(left=False)
        axes.spines.left.set_visible(False)


def panel_d(figure: style.Panel, table: Table) -> None:
    """A bar a variant: mean normalised mse after training, 95 % interval, every seed a dot, the paper's value."""
    style.head(figure, "d", f"After training: {_of_seeds(table, 'mean')}")
    variants, paper = list(table.task.variants), printed(table, "1d")
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
        palette=style.COLOURS,
        saturation=1,
        alpha=0.45,
        width=0.74,
        capsize=0.25,
        ax=axes,
        errorbar=bootstrap_interval,
        err_kws={"color": style.INK, "linewidth": 0.8, "zorder": 4},
    )
    for row, variant in enumerate(variants):
        seeds = table.values(variant, "nmse")
        jitter = 0.55 * ((np.arange(len(seeds)) * 0.618 + 0.5) % 1 - 0.5)  # even, and the same at each drawing
        axes.scatter(seeds, row + jitter, s=4.5, color=style.COLOURS[variant], edgecolor="white", lw=0.25, zorder=3)
    for variant, value in paper.items():
        row = variants.index(variant)
        axes.plot([value, value], [row - 0.42, row + 0.42], color=style.INK, lw=0.8, zorder=5)
        axes.plot(value, row - 0.42, marker="D", ms=3.2, color=style.INK, zorder=5, clip_on=False)
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
    _numbers(gutter, variants, columns)


def _columns(table: Table, paper: Mapping[str, float]) -> list[tuple[float, str, Mapping[str, str]]]:
    """The numbers behind the bars: width in inches, name, variant -> text. Seeds only where bars differ in them."""
    variants = table.task.variants
    ours = {v: table.absence(v) or f"{table.values(v, 'nmse').mean():.3f}" for v in variants}
    counts = {v: table.count(v) for v in variants}
    columns: list[tuple[float, str, Mapping[str, str]]] = [(0.4, "ours", ours)]
    if paper:
        columns.append((0.52, "\N{BLACK DIAMOND} paper", {v: f"{value:.3f}" for v, value in paper.items()}))
    if len(set(counts.values())) > 1:
        columns.append((0.44, "seeds", counts))
    return columns


def _numbers(gutter: Axes, rows: Sequence[str], columns: Sequence[tuple[float, str, Mapping[str, str]]]) -> None:
    gutter.set_axis_off()
    gutter.set_xlim(0, sum(width for width, _, _ in columns))
    right = 0.0
    for width, name, texts in columns:
        right += width
        gutter.text(right, -0.85, name, ha="right", va="center_baseline", color=style.GREY)
        for row, variant in enumerate(rows):
            text = texts.get(variant, "")
            slant = "italic" if text[:1].isalpha() else "normal"  # "failed", "not run"
            gutter.text(right, row, text, ha="right", va="center_baseline", style=slant)


def panel_e(figure: style.Panel, table: Table) -> None:
    """Learning curves, geometric mean over seeds with its 95 % interval: the paper's four at the left, all others
    at the right with e-prop 1 to compare."""
    style.head(figure, "e", f"Learning curves: {_of_seeds(table, 'geometric mean')}")
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


def _of_seeds(table: Table, mean: str) -> str:
    """What the lines and bars are, in words: "mean of 10 seeds, 95 % interval"."""
    counts = sorted({len(table.values(variant, "seed")) for variant in table.task.variants} - {0})
    if counts in ([], [1]):
        return "one seed each"
    return f"{mean} of {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds, 95 % interval"


_PANELS: dict[str, tuple[tuple[float, float], Callable[[style.Panel, Table], None]]] = {
    "1c": ((style.WIDTH, 3.5), panel_c),
    "1d": ((3.4, 2.7), panel_d),
    "1e": ((3.7, 2.7), panel_e),
}
PANELS = tuple(_PANELS)
