"""Figure 2a: a spiking network with adaptive thresholds stores a bit and recalls it (task 1.2)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from paper_figures import fig2a_times, style
from paper_figures.table import Table
from repro.claims.survival import median

EXAMPLE = "e_prop_1"  # the variant whose trial is shown
BITS = ("#7b3294", "#d8670c")  # the bits 0 and 1
STORE, RECALL = "#e4e4e4", "#fbeccb"  # the shades of their periods
HEIGHT, TRIAL = 5.2, 3.05  # inches: of the panel, and of the trial at its top
NAMES = ("inputs", "spikes", "thresholds", "probability", "store", "recall", "target", "value")


def panel_a(figure: style.Panel, table: Table) -> None:
    """One trial of a trained network; below it, iterations until each variant solves the task."""
    _trial(figure, table)
    fig2a_times.times(figure, table, top=TRIAL)


def _trial(figure: style.Panel, table: Table) -> None:
    """Inputs by group, spikes, thresholds and readouts; periods with a command are shaded; one seed."""
    label = table.task.variants[EXAMPLE].label
    margins: dict[str, Any] = {"left": 0.85, "right": 0.15, "top": 0.74, "bottom": HEIGHT - TRIAL + 0.38}
    if table.absence(EXAMPLE):
        style.head(figure, "a", label)
        style.missing(style.grid(figure, 1, 1, **margins)[0, 0], f"{label}: {table.absence(EXAMPLE)}")
        return
    record, arrays = table.example(EXAMPLE, *(f"example_{name}" for name in NAMES), wanted=asks_both)
    trial = {name: arrays[f"example_{name}"] for name in NAMES}
    after = round(record.metrics["iterations"])
    style.head(
        figure,
        "a",
        f"A trial of {label} after {after} iterations{_median(table)}, not used in training; seed {record.seed}",
    )
    if asks_both(arrays):
        style.note(figure, "the first seed whose recorded trial asks for both bits and is answered right")
    config, heights = record.config, [0.8, 0.8, 0.5, 0.5, 1.1, 1.1, 1, 1]
    rows = style.grid(figure, 8, 1, between=(0, 0.06), sharex=True, height_ratios=heights, **margins)[:, 0]
    groups = trial["inputs"].reshape(4, -1, trial["inputs"].shape[1])
    for axes, spikes, colour in zip(rows[:4], groups, (*BITS, style.INK, style.INK), strict=True):
        style.raster(axes, spikes, 0.3, colour)
    lif, alif = np.split(trial["spikes"], [config["n_lif"]])
    for axes, spikes in zip(rows[4:6], (lif, alif), strict=True):
        style.raster(axes, spikes, 0.35)
    rows[6].plot(trial["thresholds"].astype(float).T, color=style.COLOURS[EXAMPLE], lw=0.6, alpha=0.7)
    _readouts(rows[7], trial, config["period_ms"])
    texts = ("value 0", "value 1", "STORE", "RECALL", f"{len(lif)} LIF\nneurons", f"{len(alif)} ALIF\nneurons")
    for axes, text in zip(rows, (*texts, "thresholds\n(arb. unit)", "readouts\n(softmax)"), strict=True):
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
    _key(figure)


def _median(table: Table) -> str:
    """How many iterations others need."""
    middle = median(*table.times(EXAMPLE, "iterations"))
    return f" (median: {middle:.0f})" if table.several(EXAMPLE) and np.isfinite(middle) else ""


def asks_both(arrays: dict[str, np.ndarray]) -> bool:
    """Whether a trial asks for both bits, and the readout with the higher mean activation is right in each RECALL."""
    target = arrays["example_target"]
    probability = np.clip(arrays["example_probability"].astype(float), 1e-6, 1)
    score = (np.log(probability[:, 1]) - np.log(probability[:, 0])).reshape(len(target), -1).mean(1)
    asked = target >= 0
    return {0, 1} <= set(target.tolist()) and bool(np.all((score > 0)[asked] == target[asked]))


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
            axes.annotate(f"{word} {bits[k]}", *at, ha="center", fontsize=style.SMALL)


def _key(figure: style.Panel) -> None:
    """What the colours mean, at the right below the head."""
    bits = [style.line(f"bit {bit}", colour, lw=1.4) for bit, colour in enumerate(BITS)]
    target = style.line("target bit (in its colour)", style.GREY, lw=2.2, solid_capstyle="butt")
    periods = [Patch(color=STORE, lw=0, label="STORE"), Patch(color=RECALL, lw=0, label="RECALL")]
    style.key(figure, [*bits, target, *periods], (0.15, 0.38))
