"""Does Eq. 10 hold with synthetic gradients that were trained? Beside the map with independent noise."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from paper_figures import style
from paper_figures.questions.answer import Answer
from paper_figures.questions.sources import Sources, described, not_run, of_study
from repro.runs.registry import get_task
from repro.text import format_number

STUDY, THEORY = "copy_repeat_estimates", "theory"
BOUNDARIES = {"zero": "boundaries of zero", "used": "times 0.1, as used", "whole": "as predicted"}
LINES = {"zero": (0, (1, 1)), "used": "-", "whole": (0, (4, 1.5))}
FIRST_LENGTH = 5  # steps of the curriculum's first level: one character, stop, count, a copy, stop
MAP_WINDOW, MAP_LEVELS = 4, (0.0, 0.5, 1.0)  # steps, and shares of variance explained
CAPTION = """\
Top left: squared errors of both estimates over the mean square of the true gradient, with the predictions as
Algorithm 1 uses them. Top middle: their ratio; below 1 Eq. 10 holds. Top right: the share of the ideal boundary's
square that the predictions explain, and the length of the sequences. Lines are means of three seeds (of logarithms
for the ratio), dots in the middle and at the right are seeds. Bottom: the same ratio in untrained LSTM networks
with windows of 4 steps and predictions with independent noise ([theory.png](theory.png) has the whole map)."""
MEASURED = """\
During training on copy-repeat, after 30 to 10,000 batches: 32 fresh sequences of the curriculum's level, at fixed
weights. True is BPTT through the whole sequence; an estimate is the sum of a sequence's windows of 4 steps; errors
are squared, summed over the LSTM's weights, averaged over sequences. Both estimates have the same predictions.
Algorithm 1 multiplies these by 0.1; *as predicted* leaves the factor out, *zero* is truncated BPTT without and with
eligibility traces (tasks/copy_repeat/estimates.py)."""


def answer(sources: Sources) -> Answer:
    """See `paper_figures.questions`."""
    study, ended = sources.study(STUDY)
    rows = ended[ended.status == "finished"]
    theory = sources.runs(THEORY)
    figure = Figure(figsize=(style.WIDTH, 3.9))
    _draw(figure, rows, sources)
    return Answer(
        name="question_estimates",
        question="Does Eq. 10 hold with synthetic gradients that were trained?",
        short=_short(rows),
        figure=figure,
        caption=CAPTION,
        table=_table(rows),
        measured=MEASURED,
        runs=[of_study(study, ended), described(THEORY, theory)],
        commands=[f"repro sweep {STUDY}", "repro reproduce theory --profile paper"],
        missing=not_run((study, ended)),
    )


def after(rows: pd.DataFrame) -> list[int]:
    """The batches after which it was measured."""
    return sorted(int(name.removeprefix("explained_")) for name in rows.columns if name.startswith("explained_"))


def ratios(rows: pd.DataFrame, boundary: str) -> np.ndarray:
    """Squared error of e-prop 3's estimate over that of BPTT's, [run, measurement]."""
    pairs = [(rows[f"e_prop_3_{boundary}_{n}"], rows[f"bptt_{boundary}_{n}"]) for n in after(rows)]
    return np.array([(ours / theirs).to_numpy(dtype=float) for ours, theirs in pairs]).reshape(len(pairs), len(rows)).T


def _short(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "Not known yet: no run has ended."
    parts = []
    for boundary, name in BOUNDARIES.items():
        found = ratios(rows, boundary)
        found = found[np.isfinite(found)]
        middle = format_number(float(np.median(found)))
        parts.append(f"{name}: in {(found <= 1).sum()} of {found.size} (median ratio {middle})")
    used = ratios(rows, "used")
    used = used[np.isfinite(used)]
    verdict = "Yes, in these networks" if (used <= 1).all() else "Mostly" if (used <= 1).mean() > 0.5 else "Mostly not"
    return (
        f"{verdict}. E-prop 3's estimate is at most as far from the true gradient as BPTT's, with {'; '.join(parts)}. "
        f"{_explained(rows)}"
    )


def _explained(rows: pd.DataFrame) -> str:
    """How good the predictions are on the first level and on later ones."""
    pairs = (
        rows[[f"measured_length_{n}" for n in after(rows)]].to_numpy(),
        rows[[f"explained_{n}" for n in after(rows)]],
    )
    length, explained = (np.asarray(values, dtype=float).ravel() for values in pairs)
    first = length == FIRST_LENGTH
    early, late = (
        100 * np.median(explained[which]) if which.any() else np.nan for which in (first, length > FIRST_LENGTH)
    )
    return (
        f"On the first level, {FIRST_LENGTH} steps, the predictions explain {early:.0f} % of the ideal boundary "
        "(median), "
        f"on longer sequences {late:.0f} %: there, what is better about e-prop 3's estimate is the eligibility vectors."
    )


def _table(rows: pd.DataFrame) -> list[list[str]]:
    if rows.empty:
        return []
    labels = get_task("copy_repeat").variants
    head = [
        "trained with",
        "batches",
        "length (steps)",
        "explained",
        *(f"ratio, {name}" for name in BOUNDARIES.values()),
    ]
    lines = [head]
    for variant, group in rows.groupby("variant", sort=False):
        series = {boundary: ratios(group, boundary) for boundary in BOUNDARIES}
        for place, n in enumerate(after(group)):
            length, explained = (float(group[f"{name}_{n}"].mean()) for name in ("measured_length", "explained"))
            cells = [_geometric(series[boundary][:, place]) for boundary in BOUNDARIES]
            lines.append([labels[variant].label, str(n), f"{length:.0f}", format_number(explained), *cells])
    return lines


def _geometric(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return f"{np.exp(np.log(values).mean()):.2f} ({values.min():.2f} - {values.max():.2f})" if len(values) else ""


def _draw(figure: Figure, rows: pd.DataFrame, sources: Sources) -> None:
    bottom: dict[str, Any] = {"left": 0.5, "right": 0.1, "top": 2.5, "bottom": 0.4}
    top: dict[str, Any] = {"left": 0.5, "right": 0.1, "top": 0.35, "bottom": 2.25, "between": (0.45, 0)}
    axes = style.grid(figure, 1, 3, **top)[0]
    labels = get_task("copy_repeat").variants
    for place, (variant, group) in enumerate(rows.groupby("variant", sort=False)):
        colour, at = style.COLOURS[variant], after(group)
        figure.text(
            (0.5 + 2.2 * place) / style.WIDTH, 1 - 0.14 / 3.9, f"trained with {labels[variant].label}", color=colour
        )
        for rule, line in (("bptt", LINES["whole"]), ("e_prop_3", "-")):
            values = np.array([group[f"{rule}_used_{n}"] for n in at], dtype=float)
            axes[0].plot(at, values.mean(axis=1), color=colour, ls=line)
        for boundary, line in LINES.items():
            ratio = ratios(group, boundary)
            axes[1].plot(at, np.exp(np.log(ratio).mean(axis=0)), color=colour, ls=line)
            axes[1].plot(at, ratio.T, ls="", marker=".", ms=2, color=colour, alpha=0.5)
        explained = np.array([group[f"explained_{n}"] for n in at], dtype=float)
        axes[2].plot(at, explained.mean(axis=1), color=colour)
        axes[2].plot(at, explained, ls="", marker=".", ms=2, color=colour, alpha=0.5)
        for n, length in zip(at, [group[f"measured_length_{n}"].mean() for n in at], strict=True):
            axes[2].annotate(f"{length:.0f}", (n, 1.16 - 0.09 * place), color=colour, fontsize=5.5, ha="center")
    names = ("squared error (true square = 1)", "error of e-prop 3 / of BPTT", "share explained; digits: steps")
    for place, name in zip(axes, names, strict=True):
        place.set_title(name, pad=3)
        place.set(xscale="log", xlabel="batches of training")
        style.plain_log(place.xaxis)
    _keys(axes)
    _maps(figure, sources, bottom)


def _keys(axes: np.ndarray) -> None:
    """Limits, and what the lines are."""
    axes[0].set_yscale("log")
    axes[1].axhline(1, color=style.GREY, lw=0.6)
    axes[1].set_ylim(0, 1.5)
    axes[2].set(ylim=(-0.15, 1.25), yticks=[0, 0.5, 1])
    axes[2].axhline(0, color=style.PALE, lw=0.6, zorder=0)
    axes[0].set_ylim(0.1, 2)
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[0].yaxis.set_minor_formatter(NullFormatter())
    for line, name in (("-", "e-prop 3"), (LINES["whole"], "truncated BPTT")):
        axes[0].plot([], [], color=style.INK, ls=line, label=name)
    for boundary, line in LINES.items():
        axes[1].plot([], [], color=style.INK, ls=line, label=BOUNDARIES[boundary])
    for place in axes[:2]:
        place.legend(frameon=False, fontsize=5.5, loc="best", handlelength=2.2)


def _maps(figure: Figure, sources: Sources, margins: dict[str, Any]) -> None:
    """The theory's map of the ratio for LSTM networks, by the quality of predictions with independent noise."""
    series = sources.arrays(THEORY, "lstm_ratio")
    text = "untrained LSTM networks, windows of 4 steps: error of e-prop 3 / of BPTT"
    figure.text(0.5 / style.WIDTH, 1 - (margins["top"] - 0.32) / style.size(figure)[1], text)
    axes = style.grid(figure, 1, len(MAP_LEVELS), between=(0.45, 0), **margins)[0]
    if not series:
        for place in axes:
            style.missing(place, "theory not run")
        return
    names = ("window", "explained", "memory", "coupling")
    window, explained, memory, coupling = (sources.arrays(THEORY, name)[0] for name in names)
    along = int(np.argmin(np.abs(window - MAP_WINDOW)))
    for place, level in zip(axes, MAP_LEVELS, strict=True):
        ratio = np.exp(np.log(np.stack(series)[:, int(np.argmin(np.abs(explained - level))), along]).mean(axis=0))
        _map(place, ratio, memory, coupling)
        place.set_title(_level(level), pad=3)
        place.set(xlabel="coupling (gain of the recurrent weights)", ylabel="memory (steps)")


def _level(explained: float) -> str:
    """What the predictions of a map are; see `tasks.theory`."""
    if not explained:
        return "boundaries of zero"
    return f"independent noise, {100 * explained:.0f} % explained" if explained < 1 else "unbiased, noisy"


def _map(axes: Axes, ratio: np.ndarray, memory: np.ndarray, coupling: np.ndarray) -> None:
    axes.imshow(np.log2(ratio), origin="lower", aspect="auto", cmap="RdBu_r", vmin=-2, vmax=2)
    for (y, x), value in np.ndenumerate(ratio):
        ink = "white" if abs(np.log2(value)) > 1.3 else style.INK
        axes.text(x, y, f"{value:.1f}" if value >= 0.05 else "<.05", ha="center", va="center", fontsize=5, color=ink)
    axes.set_xticks(range(len(coupling)), [f"{value:.1g}" if value < 0.2 else f"{value:.2g}" for value in coupling])
    axes.set_yticks(range(len(memory)), [f"{value:.2g}" for value in memory])
    axes.tick_params(length=0)
