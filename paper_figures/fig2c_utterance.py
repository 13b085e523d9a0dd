"""Figure 2c, below: one test utterance and a trained network's response (task 1.3)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator

from paper_figures import style
from paper_figures.table import Table
from tasks.speech.phones import PHONES

EXAMPLE = "e_prop_1"  # the variant whose network classifies the utterance
FRAME_S = 0.01  # of audio
HIGHEST_HZ = 8000.0  # half the sampling rate
TICKS_KHZ = (0, 1, 4, 8)
GROUPS = {  # as TIMIT's documentation groups its symbols, closures with silences, affricates with stops
    "silence": ("#e2e2e2", "h# pau epi bcl dcl gcl kcl pcl tcl"),
    "stop": ("#f6b18a", "b d g p t k dx q jh ch"),
    "fricative": ("#bfe38f", "s sh z zh f th v dh"),
    "nasal": ("#d3b8e0", "m n ng em en eng nx"),
    "glide": ("#fbe38e", "l r w y hh hv el"),
    "vowel": ("#a6d0e8", "iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h"),
}
SHADES = {phone: colour for colour, phones in GROUPS.values() for phone in phones.split()}
ROWS = ("frequency\n(kHz)", "true", "predicted", "wrong", "forward\nlayer →", "backward\nlayer ←")


def utterance(figure: style.Panel, table: Table, top: float) -> None:
    """Spectrogram, true and predicted phones, wrong frames, spikes of both directions; one seed."""
    label = table.task.variants[EXAMPLE].label
    margins: dict[str, Any] = {"left": 0.95, "right": 0.42, "top": top + 0.54, "bottom": 0.38}
    if table.absence(EXAMPLE):
        style.missing(style.grid(figure, 1, 1, **margins)[0, 0], f"{label}: {table.absence(EXAMPLE)}")
        return
    names = ("spectrogram", "labels", "predicted", "spikes")
    record, arrays = table.example(EXAMPLE, *(f"example_{name}" for name in names))
    spectrogram, true, predicted, spikes = (arrays[f"example_{name}"] for name in names)
    step = record.config["frame_steps"]
    every = 100 * record.metrics["accuracy_last"]  # of the same weights as the utterance
    right = f"{100 * np.mean(true == predicted):.0f} % of its frames are right (of all: {every:.0f} %)"
    style.head(figure, "", f"{label}, seed {record.seed}: one test utterance, {right}", top=top + 0.15)
    style.note(
        figure, "grey: power in mel bands (log); one layer reads forwards in time, one backwards", top=top + 0.23
    )
    style.key(figure, [Patch(color=shade, lw=0, label=name) for name, (shade, _) in GROUPS.items()], (0.42, top + 0.37))
    heights = [1.3, 0.35, 0.35, 0.2, 1, 1]
    rows = style.grid(figure, 6, 1, between=(0, 0.05), sharex=True, height_ratios=heights, **margins)[:, 0]
    extent = (0, step * len(true), 0, len(spectrogram))
    rows[0].imshow(spectrogram.astype(float), aspect="auto", origin="lower", cmap="Greys", extent=extent)
    _phones(rows[1], true, step)
    _phones(rows[2], predicted, step)
    _wrong(rows[3], predicted != true, step)
    for axes, half in zip(rows[4:], np.split(spikes, 2), strict=True):
        _direction(axes, half, record.config)
    for axes, name in zip(rows, ROWS, strict=True):
        style.name_row(axes, name, 22 if axes is rows[0] else 10)
        axes.set(yticks=[], xlim=extent[:2])
        axes.spines[:].set_visible(axes is rows[0])
        axes.tick_params(bottom=axes is rows[-1])
    rows[0].set_yticks([row_of(1000 * khz, len(spectrogram)) for khz in TICKS_KHZ], [f"{khz}" for khz in TICKS_KHZ])
    rows[0].set_ylim(0, len(spectrogram))
    rows[-1].spines.bottom.set_visible(True)
    rows[-1].set_xlabel("time (s)")
    rows[-1].xaxis.set_major_locator(MultipleLocator(step * 0.2 / FRAME_S))
    rows[-1].xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at / step * FRAME_S:.1f}"))


def row_of(hertz: float, bands: int) -> float:
    """Where a frequency lies on the axis of a spectrogram whose band k, from 0, is drawn from k to k + 1: the centres
    of `bands` bands are equally far from each other, and from both ends, in mel (2595 log10(1 + f / 700 Hz))."""
    share = np.log10(1 + hertz / 700) / np.log10(1 + HIGHEST_HZ / 700)
    return float(np.clip(share * (bands + 1) - 0.5, 0, bands))


def _phones(axes: Axes, labels: np.ndarray, step: int) -> None:
    """Segments of equal labels [frame] of `step` steps each, named where the name fits."""
    ends = [*(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    points = 72 * axes.bbox.width / axes.figure.dpi / len(labels)  # a frame's width
    for start, end in zip([0, *ends], ends, strict=False):
        phone = PHONES[labels[start]]
        axes.axvspan(start * step, end * step, color=SHADES[phone], ec="white", lw=0.4)
        if points * (end - start) > 0.68 * style.SMALL * len(phone):
            place: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": style.SMALL}
            axes.text((start + end) / 2 * step, 0.52, phone, **place)
    axes.set(ylim=(0, 1))


def _wrong(axes: Axes, wrong: np.ndarray, step: int) -> None:
    """A black block for each wrong frame [frame]."""
    frames = np.flatnonzero(wrong) * step
    axes.broken_barh([(int(frame), step) for frame in frames], (0, 1), color=style.INK, lw=0)
    axes.set(ylim=(0, 1))


def _direction(axes: Axes, spikes: np.ndarray, config: Mapping[str, Any]) -> None:
    """Spikes [neuron, step] of one direction, LIF neurons below, ALIF above."""
    neurons, alif = len(spikes), config["n_alif"]
    lif = min(config["n_lif"], max(neurons - alif, neurons // 2))
    style.raster(axes, spikes, 0.6)
    for name, low, high in (("LIF", 0, lif), ("ALIF", lif, neurons)):
        if high > low:
            at = 1.005, (low + high) / 2 / neurons
            axes.text(*at, name, va="center", color=style.GREY, fontsize=style.SMALL, transform=axes.transAxes)
    axes.axhline(lif, color=style.PALE, lw=0.5, zorder=0)
