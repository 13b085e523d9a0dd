"""Figure 2a: a spiking network with adaptive thresholds stores a bit and recalls it (task 1.2)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from paper_figures import style
from paper_figures.table import Table
from repro.claims.survival import interval_of_median, median

EXAMPLE = "e_prop_1"  # the variant whose trial is shown
DECODED = "e_prop_1_decoding"  # that of 2b, which does not stop when it has solved the task: no bar
BITS = ("#7b3294", "#d8670c")  # the bits 0 and 1
STORE, RECALL = "#ececec", "#fbeccb"  # the shades of their periods


def panel_a(figure: style.Panel, table: Table) -> None:
    """One trial of a trained network at the left; iterations until it solves the task, for each variant, at the
    right."""
    _trial(figure, table)
    _iterations(figure, table)


def _trial(figure: style.Panel, table: Table) -> None:
    """Inputs by group, spikes, thresholds and readouts; periods with a command are shaded; one seed."""
    label = table.task.variants[EXAMPLE].label
    margins: dict[str, Any] = {"left": 0.8, "right": 3.4, "top": 0.5, "bottom": 0.38}
    if table.absence(EXAMPLE):
        style.head(figure, "a", label)
        style.missing(style.grid(figure, 1, 1, **margins)[0, 0], f"{label}: {table.absence(EXAMPLE)}")
        return
    names = ("inputs", "spikes", "thresholds", "probability", "store", "recall", "target", "value")
    record, arrays = table.example(EXAMPLE, *(f"example_{name}" for name in names))
    trial = {name: arrays[f"example_{name}"] for name in names}
    after = round(record.metrics["iterations"])
    style.head(figure, "a", f"{label}, seed {record.seed}, after {after} iterations: a fresh trial; thick bars: target")
    config, heights = record.config, [0.8, 0.8, 0.5, 0.5, 1, 1, 1, 1]
    rows = style.grid(figure, 8, 1, between=(0, 0.07), sharex=True, height_ratios=heights, **margins)[:, 0]
    groups = trial["inputs"].reshape(4, -1, trial["inputs"].shape[1])
    for axes, spikes, colour in zip(rows[:4], groups, (*BITS, style.INK, style.INK), strict=True):
        style.raster(axes, spikes, 0.3, colour)
    lif, alif = np.split(trial["spikes"], [config["n_lif"]])
    for axes, spikes in zip(rows[4:6], (lif, alif), strict=True):
        style.raster(axes, spikes, 0.5)
    rows[6].plot(trial["thresholds"].astype(float).T, color=style.COLOURS[EXAMPLE], lw=0.6, alpha=0.7)
    _readouts(rows[7], trial, config["period_ms"])
    texts = ("value 0", "value 1", "STORE", "RECALL", f"{len(lif)} LIF\nneurons", f"{len(alif)} ALIF\nneurons")
    for axes, text in zip(rows, (*texts, "thresholds", "readouts\n(softmax)"), strict=True):
        style.name_row(axes, text)
        _shade(axes, trial, config["period_ms"])
    for axes in rows[:7]:
        axes.tick_params(bottom=False)
        axes.spines.bottom.set_visible(False)
    for axes in rows[:6]:
        axes.spines.left.set_visible(False)
    _commands(rows[0], trial, config["period_ms"])
    end = groups.shape[2]
    rows[7].set(xlabel="time (ms)", xlim=(0, end), xticks=range(0, end + 1, 2 * config["period_ms"]))


def _readouts(axes: Axes, trial: dict[str, np.ndarray], period: int) -> None:
    """Output of each readout, pale outside RECALL periods; a bar in the colour of the target bit."""
    probability = trial["probability"].astype(float)
    asked = np.repeat(trial["recall"] > 0, period)
    for bit, colour in enumerate(BITS):
        axes.plot(probability[:, bit], color=colour, lw=0.6, alpha=0.3)
        axes.plot(np.where(asked, probability[:, bit], np.nan), color=colour, lw=0.9)
    for k in np.flatnonzero(trial["target"] >= 0).tolist():
        axes.plot(
            [k * period, (k + 1) * period], [1.13, 1.13], color=BITS[trial["target"][k]], lw=2.2, solid_capstyle="butt"
        )
    axes.set(ylim=(-0.05, 1.22), yticks=[0, 1])


def _shade(axes: Axes, trial: dict[str, np.ndarray], period: int) -> None:
    for name, colour in (("store", STORE), ("recall", RECALL)):
        for k in np.flatnonzero(trial[name]).tolist():
            axes.axvspan(k * period, (k + 1) * period, color=colour, lw=0, zorder=0)


def _commands(axes: Axes, trial: dict[str, np.ndarray], period: int) -> None:
    """Write above the first row which bit is to be stored and which is to be recalled."""
    for word, bits in (("store", trial["value"]), ("recall", trial["target"])):
        for k in np.flatnonzero(trial[word]).tolist():
            at = ((k + 0.5) * period, 1), (0, 2), ("data", "axes fraction"), "offset points"
            axes.annotate(f"{word}\n{bits[k]}", *at, ha="center", color=BITS[bits[k]], linespacing=1.05, fontsize=6)


def _iterations(figure: style.Panel, table: Table) -> None:
    """One bar per variant: median iterations (Kaplan-Meier), 95 % interval, one dot per seed, the paper's value. A run
    that did not reach 5 % error is an open arrow at its last iteration, a lost one a cross; a bar is open if it has no
    median."""
    variants, paper = [v for v in table.task.variants if v != DECODED], table.printed("2a")
    style.head(figure, "", f"Iterations to 5 % error: {table.of_seeds('median', *variants)}", left=3.75)
    columns = _columns(table, variants, paper)
    numbers = sum(width for width, _, _ in columns)
    margins: dict[str, Any] = {"left": 4.68, "right": 0.12, "top": 0.5, "bottom": 0.38}
    axes, gutter = style.grid(figure, 1, 2, sharey=True, width_ratios=(2.3 - numbers, numbers), **margins)[0]
    times = {variant: table.times(variant, "iterations") for variant in variants}
    for row, (variant, (iterations, never)) in enumerate(times.items()):
        _bar(axes, row, iterations, never, style.COLOURS[variant])
        style.lost(axes, table.failures(variant), row, style.COLOURS[variant])
    for variant, value in paper.items():
        style.diamond(axes, value, variants.index(variant))
    ends = np.concatenate([iterations for iterations, _ in times.values()])
    shown = [*ends[np.isfinite(ends)], *paper.values()] or [10.0]
    given_up = {int(n) for pair in times.values() for n, never in zip(*pair, strict=True) if never and np.isfinite(n)}
    axes.set(
        xscale="log",
        xlim=(10 ** np.floor(np.log10(min(shown) / 1.5)), max(shown) * 1.5),
        ylim=(len(variants) - 0.4, -0.6),
        xlabel=f"iterations (given up after {max(given_up)})" if given_up else "iterations",
    )
    style.plain_log(axes.xaxis)
    axes.set_yticks(range(len(variants)), [table.task.variants[variant].label for variant in variants])
    axes.tick_params(axis="y", left=False)
    style.numbers(gutter, variants, columns)


def _bar(axes: Axes, row: int, iterations: np.ndarray, never: np.ndarray, colour: str) -> None:
    """One variant's runs [seed]; a bar to the Kaplan-Meier median, open if that is not known."""
    trained = iterations[np.isfinite(iterations)]
    if not len(trained):
        return
    middle, end = median(iterations, never), trained.max()
    if np.isfinite(middle):
        low, high = np.minimum(interval_of_median(iterations, never), end)
        axes.barh(row, middle, 0.74, color=colour, alpha=0.45)
        spread = [[middle - low], [high - middle]]
        axes.errorbar(middle, row, xerr=spread, color=style.INK, lw=0.8, capsize=2.5, zorder=4)
    else:
        axes.barh(row, end, 0.74, fill=False, edgecolor=colour, lw=0.6, ls=(0, (3, 2)))
    given_up = iterations[never & np.isfinite(iterations)]
    if len(given_up):
        height = row + 1.3 * style.jitter(len(given_up))
        axes.scatter(given_up, height, s=5, marker=">", color="white", edgecolor=colour, lw=0.4, zorder=3)
        at = (end, row + (0 if never.all() else 0.52)), (-4, 0)  # below the dots of the others
        text = f"{len(given_up)} of {len(never)} never"
        axes.annotate(text, *at, textcoords="offset points", ha="right", va="center", style="italic")
    style.dots(axes, iterations[~never], row, colour)


def _columns(table: Table, variants: Sequence[str], paper: dict[str, float]) -> list[style.Column]:
    """The numbers behind the bars. Seeds only where bars differ in them."""
    counts = {variant: table.count(variant) for variant in variants}
    columns: list[style.Column] = [(0.42, "ours", {variant: _ours(table, variant) for variant in variants})]
    if paper:
        columns.append((0.48, "\N{BLACK DIAMOND} paper", {v: f"{value:.0f}" for v, value in paper.items()}))
    if len(set(counts.values())) > 1:
        columns.append((0.4, "seeds", counts))
    return columns


def _ours(table: Table, variant: str) -> str:
    if table.absence(variant):
        return table.absence(variant)
    iterations, never = table.times(variant, "iterations")
    middle = median(iterations, never)
    return f"{middle:.0f}" if np.isfinite(middle) else f"> {iterations[np.isfinite(iterations)].max():.0f}"
