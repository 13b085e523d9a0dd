"""Figure 2b: how long the stored bit can be read from eligibility traces (task 1.2)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from paper_figures import style
from paper_figures.table import Table, mean_interval

DECODED = "e_prop_1_decoding"  # the variant that it shows
AGES = ("#9ecae1", "#3f8fc4", "#08306b")  # from young to old
TRACES = {"trace": "traces e", "adaptation": "slow component εₐ"}
INPUTS = {"silence": "silence after STORE", "values": "values after STORE"}
READINGS = [(trace, source) for trace in TRACES for source in INPUTS]


def panel_b(figure: style.Panel, table: Table) -> None:
    """Accuracy of a classifier that decodes the stored bit from eligibility traces, against the delay since the STORE.
    The chosen reading is large, the three others are small."""
    margins: dict[str, Any] = {"left": 0.5, "top": 0.78, "bottom": 0.38}
    if table.absence(DECODED):
        style.head(figure, "b", "The stored bit, decoded from eligibility traces")
        axes = style.grid(figure, 1, 1, right=0.15, **margins)[0, 0]
        style.missing(axes, f"{table.task.variants[DECODED].label}: {table.absence(DECODED)}")
        return
    record, _ = table.example(DECODED)
    seeds = table.of_seeds("mean", DECODED)
    style.head(figure, "b", f"The stored bit, decoded from eligibility traces of e-prop 1: {seeds}")
    names = ["decode_ages", "decode_delay_ms", *(f"decode_{trace}_{source}" for trace, source in READINGS)]
    arrays = table.arrays(DECODED, *names)
    tau = record.config["tau_a_ms"] / 1000
    chosen = record.config["decode_from"], record.config["decode_input"]
    others = [reading for reading in READINGS if reading != chosen]
    large = style.grid(figure, 1, 1, right=4.05, **margins)[0, 0]
    small = style.grid(figure, 1, 3, right=0.12, between=(0.14, 0), sharey=True, **margins | {"left": 3.4})[0]
    for axes, (trace, source) in zip((large, *small), (chosen, *others), strict=True):
        _decoding(axes, arrays, f"decode_{trace}_{source}", tau)
        gap = ", " if axes is large else ",\n"
        axes.set_title(f"{TRACES[trace]}{gap}{INPUTS[source]}", pad=4)
        axes.set_xlabel("time since STORE (s)")
    for axes in (large, small[0]):
        axes.set_ylabel("accuracy")
    style.key(figure, _entries(arrays["decode_ages"][0], tau), (0.12, 0.27))
    for value in table.printed("2b").values():
        large.plot(4, value, **style.PAPER)
        large.annotate(f"paper: > {value:g}", (4, value), (5, 0), textcoords="offset points", va="center")


def _decoding(axes: Axes, arrays: dict[str, np.ndarray], name: str, tau: float) -> None:
    """Accuracy against delay, one line per training age with its 95 % interval; chance and tau_a are marked."""
    delay = arrays["decode_delay_ms"][0] / 1000
    axes.axhline(0.5, color=style.GREY, lw=0.6, ls=(0, (4, 3)), zorder=1)
    axes.axvline(tau, color=style.GREY, lw=0.6, ls=(0, (1, 2)), zorder=1)
    for age, colour in enumerate(AGES):
        accuracy = arrays[name][:, age].astype(float)
        axes.fill_between(delay, *mean_interval(accuracy), color=colour, alpha=0.22, lw=0)
        axes.plot(delay, accuracy.mean(0), color=colour, lw=1.0)
    axes.set(xlim=(0, delay[0] + delay[-1]), ylim=(0.25, 1.03), yticks=[0.4, 0.6, 0.8, 1.0])
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))


def _entries(ages: np.ndarray, tau: float) -> list[Any]:
    """What the lines mean; tau in seconds."""
    lines = [style.line(f"after {age} iterations", colour) for age, colour in zip(ages, AGES, strict=True)]
    chance = style.line("chance", style.GREY, lw=0.6, ls=style.DASHED)
    return [*lines, chance, style.line(f"τₐ = {tau:g} s", style.GREY, lw=0.6, ls=(0, (1, 2)))]
