"""Figure 2c: frame accuracy on speech, and one utterance as a trained network classifies it (task 1.3)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from paper_figures import style
from paper_figures.table import Table, mean_interval
from repro.claims.stats import interval_of_mean
from tasks.speech.phones import PHONES

EXAMPLE = "e_prop_1"  # the variant whose network classifies the utterance
ASIDE = "e_prop_1_variance_1_over_n"  # not in the paper's panel
PAPERS_DATA = "TIMIT"
LITERATURE = "LSTM: Greff et al."  # the group whose value the paper prints
FRAME_S = 0.01  # of audio
LETTERS = 5.0  # points: the names of phones
TOP, MIDDLE = 0.5, 2.3  # inches from the top to the bars, and to the utterance
GROUPS = {  # as TIMIT's documentation groups its symbols, closures with silences, affricates with stops
    "silence": ("#e2e2e2", "h# pau epi bcl dcl gcl kcl pcl tcl"),
    "stop": ("#f6b18a", "b d g p t k dx q jh ch"),
    "fricative": ("#bfe38f", "s sh z zh f th v dh"),
    "nasal": ("#d3b8e0", "m n ng em en eng nx"),
    "glide": ("#fbe38e", "l r w y hh hv el"),
    "vowel": ("#a6d0e8", "iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h"),
}
SHADES = {phone: colour for colour, phones in GROUPS.values() for phone in phones.split()}


def panel_c(figure: style.Panel, table: Table) -> None:
    """Above: accuracy of each variant, and its learning curve. Below: one utterance with a trained network's output."""
    style.head(figure, "c", f"Frame accuracy on test utterances: {table.of_seeds('mean')}")
    _source(figure, table)
    _accuracies(figure, table)
    _learning(figure, table)
    _utterance(figure, table)


def _source(figure: style.Panel, table: Table) -> None:
    """Name the data at the right of the head."""
    width, height = style.size(figure)
    text, colour = (table.source, style.WARNING) if table.source else (PAPERS_DATA, style.GREY)
    at = 1 - 0.12 / width, 1 - 0.15 / height
    figure.text(*at, text, ha="right", color=colour, fontweight="bold")


def _accuracies(figure: style.Panel, table: Table) -> None:
    """One bar per variant: mean test accuracy at the best validation, 95 % interval, one dot per seed."""
    variants, paper = list(table.task.variants), table.printed("2c")
    columns = _columns(table)
    numbers = sum(width for width, _, _ in columns)
    axes, gutter = style.grid(
        figure, 1, 2, left=1.3, right=3.2, top=TOP, bottom=2.75, sharey=True, width_ratios=(2.6 - numbers, numbers)
    )[0]
    for row, variant in enumerate(variants):
        _bar(axes, row, table.values(variant, "accuracy"), style.COLOURS[variant], faint=variant == ASIDE)
        style.lost(axes, table.failures(variant), row, style.COLOURS[variant])
    for variant, value in paper.items():
        style.diamond(axes, value, variants.index(variant))
    axes.set(xlim=(0, None), ylim=(len(variants) - 0.4, -0.6), xlabel="accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_yticks(range(len(variants)), [table.task.variants[variant].label for variant in variants])
    axes.tick_params(axis="y", left=False)
    style.numbers(gutter, variants, columns, pale=() if paper else (columns[1][1],))
    at = columns[0][0] + columns[1][0], len(variants) - 0.3
    gutter.text(*at, LITERATURE, ha="right", va="center_baseline", color=style.GREY, fontsize=5.5)


def _bar(axes: Axes, row: int, accuracy: np.ndarray, colour: str, faint: bool) -> None:
    """One variant's seeds [seed]; an open bar if faint."""
    if not len(accuracy):
        return
    look: dict[str, Any] = (
        {"fill": False, "edgecolor": colour, "lw": 0.6} if faint else {"color": colour, "alpha": 0.45}
    )
    mean = accuracy.mean()
    axes.barh(row, mean, 0.5 if faint else 0.74, **look)
    if len(accuracy) > 1:
        low, high = interval_of_mean(accuracy)
        axes.errorbar(mean, row, xerr=[[mean - low], [high - mean]], color=style.INK, lw=0.8, capsize=1.5, zorder=4)
    style.dots(axes, accuracy, row, colour)


def _columns(table: Table) -> list[style.Column]:
    """The numbers at the right of the bars. On other data the paper's values are printed there, but not drawn."""
    variants = table.task.variants
    ours = {v: table.absence(v) or f"{table.values(v, 'accuracy').mean():.3f}" for v in variants}
    counts = {v: table.count(v) for v in variants}
    name = f"paper ({PAPERS_DATA})" if table.stamp else "\N{BLACK DIAMOND} paper"
    paper = {v: f"{value:.3f}" for v, value in table.claimed("2c").items()}
    columns: list[style.Column] = [(0.42, "ours", ours), (0.72 if table.stamp else 0.5, name, paper)]
    if len(set(counts.values())) > 1:
        columns.append((0.4, "seeds", counts))
    return columns


def _learning(figure: style.Panel, table: Table) -> None:
    """Accuracy on the validation set after each epoch, mean over seeds with its 95 % interval."""
    axes = style.grid(figure, 1, 1, left=4.43, right=1.25, top=TOP, bottom=2.75)[0, 0]
    accuracies, ends = table.curves("validation_accuracy"), {}
    if not accuracies:
        style.missing(axes, "no run finished")
        return
    for variant, curves in accuracies.items():
        config = table.example(variant)[0].config
        epoch = config["epochs"] * (np.arange(curves.shape[1]) + 1) / curves.shape[1]
        colour, mean = style.COLOURS[variant], curves.mean(0)
        faint = variant == ASIDE
        axes.fill_between(epoch, *mean_interval(curves), color=colour, alpha=0.1 if faint else 0.2, lw=0)
        axes.plot(epoch, mean, color=colour, lw=0.7 if faint else 1.0, ls=(0, (2, 1.5)) if faint else "-")
        ends[table.task.variants[variant].label] = (float(mean[-1]), colour)
    axes.set(xlabel="epoch", ylabel="validation accuracy", xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda accuracy, _: f"{accuracy:g}"))
    style.label_ends(axes, ends, {}, gap=0.1)


def _utterance(figure: style.Panel, table: Table) -> None:
    """Spectrogram, true and predicted phones, spikes of both directions; one seed."""
    label = table.task.variants[EXAMPLE].label
    margins: dict[str, Any] = {"left": 0.95, "right": 0.42, "top": MIDDLE + 0.15, "bottom": 0.38}
    if table.absence(EXAMPLE):
        style.missing(style.grid(figure, 1, 1, **margins)[0, 0], f"{label}: {table.absence(EXAMPLE)}")
        return
    names = ("spectrogram", "labels", "predicted", "spikes")
    record, arrays = table.example(EXAMPLE, *(f"example_{name}" for name in names))
    spectrogram, true, predicted, spikes = (arrays[f"example_{name}"] for name in names)
    step = record.config["frame_steps"]
    right = f"{100 * np.mean(true == predicted):.0f} % of its frames are right, the others are underlined"
    style.head(figure, "", f"{label}, seed {record.seed}: one test utterance, {right}", top=MIDDLE)
    heights = [1.3, 0.35, 0.35, 1, 1]
    rows = style.grid(figure, 5, 1, between=(0, 0.05), sharex=True, height_ratios=heights, **margins)[:, 0]
    extent = (0, step * len(true), 0, len(spectrogram))
    rows[0].imshow(spectrogram.astype(float), aspect="auto", origin="lower", cmap="Greys", extent=extent)
    _phones(rows[1], true, step)
    _phones(rows[2], predicted, step, predicted != true)
    for axes, half in zip(rows[3:], np.split(spikes, 2), strict=True):
        _direction(axes, half, record.config)
    for axes, name in zip(rows, ("spectrogram", "true", "predicted", "forward", "backward"), strict=True):
        style.name_row(axes, name)
        axes.set(yticks=[], xlim=extent[:2])
        axes.spines[:].set_visible(axes is rows[0])
        axes.tick_params(bottom=axes is rows[-1])
    rows[-1].spines.bottom.set_visible(True)
    rows[-1].set_xlabel("time (s)")
    rows[-1].xaxis.set_major_locator(MultipleLocator(step * 0.2 / FRAME_S))
    rows[-1].xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at / step * FRAME_S:.1f}"))
    _key(figure)


def _phones(axes: Axes, labels: np.ndarray, step: int, wrong: np.ndarray | None = None) -> None:
    """Segments of equal labels [frame] of `step` steps each, named where the name fits; a line under `wrong` ones."""
    ends = [*(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    points = 72 * axes.bbox.width / axes.figure.dpi / len(labels)  # a frame's width
    for start, end in zip([0, *ends], ends, strict=False):
        phone = PHONES[labels[start]]
        axes.axvspan(start * step, end * step, color=SHADES[phone], ec="white", lw=0.4)
        if points * (end - start) > 0.66 * LETTERS * len(phone):
            axes.text((start + end) / 2 * step, 0.52, phone, ha="center", va="center_baseline", fontsize=LETTERS)
    axes.set(ylim=(0, 1))
    if wrong is not None:
        frames = np.flatnonzero(wrong)
        axes.hlines(np.zeros(len(frames)), frames * step, (frames + 1) * step, color=style.INK, lw=1.2)


def _direction(axes: Axes, spikes: np.ndarray, config: Mapping[str, Any]) -> None:
    """Spikes [neuron, step] of one direction, LIF neurons below, ALIF above."""
    neurons, alif = len(spikes), config["n_alif"]
    lif = min(config["n_lif"], max(neurons - alif, neurons // 2))
    style.raster(axes, spikes, 0.6)
    for name, low, high in (("LIF", 0, lif), ("ALIF", lif, neurons)):
        if high > low:
            at = 1.005, (low + high) / 2 / neurons
            axes.text(*at, name, va="center", color=style.GREY, fontsize=6, transform=axes.transAxes)
    axes.axhline(lif, color=style.PALE, lw=0.5, zorder=0)


def _key(figure: style.Panel) -> None:
    """The groups of phones in their colours, at the foot."""
    width, height = style.size(figure)
    for place, (name, (colour, _)) in enumerate(GROUPS.items()):
        x = width - 0.62 - 0.44 * (len(GROUPS) - 1 - place)
        box = {"facecolor": colour, "edgecolor": "none", "pad": 1.2}
        figure.text(x / width, 0.1 / height, name, ha="center", fontsize=6, bbox=box)
