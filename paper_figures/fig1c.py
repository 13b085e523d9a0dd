"""Figure 1c: targets, readouts and spikes after 1, 100 and 500 trials (task 1.1)."""

from collections.abc import Mapping

import numpy as np

from paper_figures import style
from paper_figures.table import Table
from repro.claims.survival import median
from repro.records.record import RunRecord

EXAMPLE = "e_prop_1"  # the variant that the panel shows
COLOUR = style.COLOURS[EXAMPLE]
LEAST_HZ = 5  # of an active neuron
NAMES = ("nmse", "target", "snapshot_trials", "snapshot_readout", "snapshot_spikes", "input_spikes")


def panel_c(figure: style.Panel, table: Table) -> None:
    """Targets, readouts, spikes of active neurons and the clock input, after 1, 100 and 500 trials; one seed."""
    label = table.task.variants[EXAMPLE].label
    if table.absence(EXAMPLE):
        style.head(figure, "c", label)
        axes = style.grid(figure, 1, 1, left=0.8, right=0.15, top=0.42, bottom=0.38)[0, 0]
        style.missing(axes, f"{label}: {table.absence(EXAMPLE)}")
        return
    record, arrays = table.example(EXAMPLE, *NAMES)
    style.head(figure, "c", f"Three patterns learned by {label}, seed {record.seed}")
    chosen, how = active(arrays)
    text = "nmse: mean squared error of the trial shown / variance of the targets"
    style.note(figure, f"{text}{_median(table, record)}\nneurons: {how}, in order of firing")
    entries = [style.line("target", style.PALE, lw=2.4), style.line("readout", COLOUR, lw=0.9)]
    style.key(figure, entries, (0.15, 0.37))
    n_out = arrays["target"].shape[1]
    margins = {"left": 0.8, "right": 0.15, "top": 0.82, "bottom": 0.38}
    heights = [1.0] * n_out + [1.6, 0.9]
    grid = style.grid(
        figure, n_out + 2, len(arrays["snapshot_trials"]), between=(0.25, 0.09), sharex=True, sharey="row",
        height_ratios=heights, **margins,
    )  # fmt: skip
    for column, trial in enumerate(arrays["snapshot_trials"]):
        axes = grid[:, column]
        axes[0].set_title(_title(table, record, int(trial), float(arrays["nmse"][trial - 1])), pad=4)
        for k in range(n_out):
            axes[k].plot(arrays["target"][:, k], color=style.PALE, lw=2.4)
            axes[k].plot(arrays["snapshot_readout"][column, :, k], color=COLOUR, lw=0.9)
        style.raster(axes[-2], arrays["snapshot_spikes"][column][chosen], 0.5)
        style.raster(axes[-1], arrays["input_spikes"].T, 0.3)
        axes[-1].set_xlabel("time (ms)")
    _name_rows(grid, f"{len(chosen)} of {record.config['n_rec']}\nneurons", f"{record.config['n_in']} clock\ninputs")


def active(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """The recorded neurons that are active in the last trial shown, in the order of their median spike, and how they
    were chosen as text; all neurons if none is active."""
    spikes = arrays["snapshot_spikes"][-1]
    counts, last = spikes.sum(1), int(arrays["snapshot_trials"][-1])
    chosen = np.flatnonzero(1000 * counts / spikes.shape[1] >= LEAST_HZ)
    when = f"at {LEAST_HZ} Hz or more after {last} trial{'s' * (last > 1)}"
    if not len(chosen):
        return np.arange(len(spikes)), f"{len(spikes)} random ones; none fires {when}"
    chosen = np.array(sorted(chosen, key=lambda neuron: float(np.median(np.flatnonzero(spikes[neuron])))), dtype=int)
    if "snapshot_active" in arrays:  # chosen when the run was recorded
        there = int(arrays["snapshot_active"])
        return chosen, f"{len(chosen)} drawn at random from {there} recorded ones that fire {when}"
    return chosen, f"those of {len(spikes)} random ones that fire {when}"


def _title(table: Table, record: RunRecord, trial: int, nmse: float) -> str:
    """A column's name; below that of trial 500 the mean over the last trials, which the claim is on, and the paper's
    value."""
    text = f"after {trial} trial{'s' * (trial > 1)}: nmse {nmse:.3f}"
    paper = "".join(f"; paper: {value:g}" for value in table.printed("1c").values())
    if trial != 500 or "nmse_500" not in record.metrics:
        return text
    return f"{text}\n{_last(record)}: {record.metrics['nmse_500']:.3f}{paper}"


def _last(record: RunRecord) -> str:
    return f"mean of trials {501 - record.config['final_trials']}-500"


def _median(table: Table, record: RunRecord) -> str:
    """The statistic that the claim on this panel is judged by, if there are several seeds."""
    times, censored = table.times(EXAMPLE, "nmse_500")
    middle, seeds = median(times, censored), len(times)
    return f"; {_last(record)}, median of {seeds} seeds: {middle:.3f}" if seeds > 1 and np.isfinite(middle) else ""


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
