"""The figure of the first question: iterations against the initial alignment, and the share of failures by size."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_figures import style
from repro.claims.stats import interval_of_share
from repro.runs.registry import get_task

RULES = ("e_prop_1", "e_prop_1_symmetric", "bptt")
SIZES = (20, 40, 80)
HORIZON = 500  # iterations: ten times the printed 50
UNSOLVED = 800.0  # where runs are drawn that did not solve the task within the horizon


class Runs(NamedTuple):
    """Runs of one rule: alignment, iterations and whether the horizon came before the task was solved, each [run]."""

    alignment: np.ndarray
    iterations: np.ndarray
    failed: np.ndarray


def draw(figure: Figure, by_rule: dict[str, Runs], by_size: dict[int, Runs], chosen: Runs) -> None:
    """Draw the runs of each rule, those of e-prop 1 by number of neurons, and those picked by their alignment."""
    margins: dict[str, Any] = {"left": 0.5, "right": 1.75, "top": 0.55, "bottom": 0.4}
    axes = style.grid(figure, 1, 3, between=(0.12, 0), sharey=True, **margins)[0]
    for rule in RULES[1:]:
        _scatter(axes[0], by_rule[rule], style.COLOURS[rule])
    _scatter(axes[0], chosen, style.COLOURS["e_prop_1"], "s")
    for place, size in zip(axes, SIZES, strict=True):
        _scatter(place, by_size[size], style.COLOURS["e_prop_1"])
        place.axvline(0, color=style.PALE, lw=0.5, zorder=0)
        place.set(xlim=(-0.65, 0.65), yscale="log", ylim=(9, 1100), xlabel="alignment (cosine)")
        if not len(by_size[size].failed):
            place.text(0, 90, "not run", color=style.GREY, style="italic", ha="center")
        place.set_title(f"{size} neurons", pad=3)
    axes[0].set_ylabel("iterations to 5 % error")
    axes[0].set_yticks([10, 30, 100, 300, UNSOLVED], ["10", "30", "100", "300", "> 500"])
    axes[0].minorticks_off()
    labels = get_task("store_recall").variants
    names = [(labels[rule].label, style.COLOURS[rule]) for rule in RULES]
    for place, (name, colour) in enumerate(names):
        figure.text((0.5 + 0.8 * place) / style.WIDTH, 1 - 0.16 / 2.5, name, color=style.ink(colour))
    _shares(style.grid(figure, 1, 1, **(margins | {"left": style.WIDTH - 1.2, "right": 0.1}))[0, 0], by_size)


def _scatter(axes: Axes, runs: Runs, colour: str, marker: str = "o") -> None:
    done = ~runs.failed
    axes.scatter(
        runs.alignment[done],
        np.maximum(runs.iterations[done], 1),
        s=9,
        marker=marker,
        color=colour,
        edgecolor="white",
        lw=0.3,
    )
    look: dict[str, Any] = {"s": 12, "marker": "^" if marker == "o" else marker}
    look |= {"facecolor": "white", "edgecolor": colour, "lw": 0.7}
    axes.scatter(runs.alignment[runs.failed], np.full(runs.failed.sum(), UNSOLVED), **look)


def _shares(axes: Axes, by_size: dict[int, Runs]) -> None:
    """The share of networks that did not solve the task, by size."""
    for place, size in enumerate(SIZES):
        failed, of = int(by_size[size].failed.sum()), len(by_size[size].failed)
        if of:
            share, (low, high) = failed / of, interval_of_share(failed, of)
            spread = [[100 * (share - low)], [100 * (high - share)]]
            colour = style.COLOURS["e_prop_1"]
            axes.errorbar(place, 100 * share, yerr=spread, color=colour, marker="o", ms=4, lw=0.8, capsize=2.5)
            axes.annotate(
                f"{failed}/{of}", (place, 100 * high), (0, 2), textcoords="offset points", ha="center", fontsize=6
            )
    axes.set(xlim=(-0.5, len(SIZES) - 0.5), ylim=(-4, 105), xlabel="neurons", ylabel=f"not solved in {HORIZON} (%)")
    axes.set_xticks(range(len(SIZES)), [str(size) for size in SIZES])
