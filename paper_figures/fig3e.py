"""Figure 3e: the error after one update, against outer iterations and at the end (task 2.1)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from paper_figures import rows, style
from paper_figures.fig3c import EXAMPLE
from paper_figures.table import Table, mean_interval

GROWTH = 1.1  # of the windows over which curves are averaged
HEIGHT, TOP = 3.0, 0.9  # inches: of the panel, and from its top to the axes
ERROR = "mse (squared arm lengths)"
RING: dict[str, Any] = {"marker": "o", "ms": 4.2, "mfc": "white", "mew": 0.9, "ls": "", "zorder": 3}
LOSS = ("task_loss", "motor_weight", "rate_loss", "rate_cost")  # the values that make the outer loss


def panel_e(figure: style.Panel, table: Table) -> None:
    """Error of the tip in test trials against outer iterations at the left; the final ones of each variant, on
    movements never trained on, at the right."""
    style.head(figure, "e", f"Error of the tip after one update: {table.of_seeds('mean')}")
    style.note(figure, _settings(table))
    _curves(figure, table)
    _final(figure, table)


def _settings(table: Table) -> str:
    """The outer loss of the runs, and whether it is the paper's; the smoothing of the curves."""
    variant = next((variant for variant in table.task.variants if not table.absence(variant)), None)
    if variant is None:
        return ""
    ours, paper = table.example(variant)[0].config, vars(table.task.config())
    other = any(ours[key] != paper[key] for key in LOSS)
    text = outer_loss(ours, ", not as printed" if other else "")
    return f"{text}; curves smoothed over 10 % of the iteration"


def outer_loss(config: Mapping[str, Any], remark: str = "") -> str:
    """The outer loss and the reading of the movements as text: "outer loss: mean squared error of the tip + ...";
    `remark` stands before the colon."""
    error = {"sum": "summed", "mean": "mean"}[config["task_loss"]]
    how, unit = config["rate_loss"].split("_")
    rates = {
        "sum": "summed over neurons",
        "mean": "mean over neurons",
        "population": "of the mean over neurons",
    }[how]
    omega = {"frequency": "ω is a frequency", "period": "ω is a period"}[config["omega_reading"]]
    target = {"analogue": "target as coordinates", "population": "target as spikes"}[config["target_input"]]
    return (
        f"outer loss{remark}: {error} squared error of the tip + {config['motor_weight']:g} × that of the velocities"
        f" + {config['rate_cost']:g} × that of firing rates ({rates}, in {unit.replace('hz', 'Hz')})\n"
        f"{config['batch_size']} movements a batch; {omega} (Eq. 60); {target}"
    )


def _curves(figure: style.Panel, table: Table) -> None:
    """One line per variant and a band of its seeds; training trials of one; an arm at rest; the paper's value."""
    axes = style.grid(figure, 1, 1, left=0.5, right=4.55, top=TOP, bottom=0.38)[0, 0]
    tested, trained = table.curves("test_mse"), table.curves("training_mse")
    if not tested:
        style.missing(axes, "no run finished")
        return
    label = {variant: about.label for variant, about in table.task.variants.items()}
    ends = {}
    if EXAMPLE in trained:
        last = _curve(axes, trained[EXAMPLE], style.COLOURS[EXAMPLE], thin=True)
        ends["training trial (spiking)"] = style.End(last, style.COLOURS[EXAMPLE])
    for variant in (variant for variant in label if variant in tested):
        colour = style.COLOURS[variant]
        ends[label[variant]] = style.End(_curve(axes, tested[variant], colour), colour)
    at_rest = float(table.finished.at_rest_mse.mean())
    axes.axhline(at_rest, color=style.GREY, lw=0.8, zorder=1)
    ends["arm at rest"] = style.End(at_rest, style.GREY)
    values = _paper(axes, table)
    drawn = np.concatenate([windows(curves)[1].ravel() for curves in (*tested.values(), *trained.values())])
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(1, max(curves.shape[1] for curves in tested.values())),
        ylim=(min(*values, drawn.min()) / 1.5, drawn.max() * 1.1),
        xlabel="outer iteration",
        ylabel=ERROR,
    )
    style.plain_log(axes.xaxis)
    style.plain_log(axes.yaxis)
    absent = {why: [label[v] for v in label if table.absence(v) == why] for why in ("failed", "not run")}
    style.label_ends(axes, ends, absent, gap=0.085)


def _curve(axes: Axes, curves: np.ndarray, colour: str, thin: bool = False) -> float:
    """Draw one variant's errors [seed, iteration], and return where they end: the mean over seeds and windows, its
    95 % interval; or a thin line alone."""
    first, means = windows(curves)
    middle, line = np.sqrt(first[:-1] * (first[1:] - 1)), means.mean(0)
    if thin:
        axes.plot(middle, line, color=colour, lw=0.6, ls=(0, (3, 1)), zorder=2)
    else:
        axes.fill_between(middle, *mean_interval(means), color=colour, alpha=0.2, lw=0, zorder=2)
        axes.plot(middle, line, color=colour, zorder=3)
    return float(line[-1])


def windows(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows of iterations, each `GROWTH` times as far as the one before: their first iterations (from 1) and one
    beyond the last [window + 1], and means of curves [seed, iteration] over each [seed, window]."""
    end = curves.shape[1] + 1
    count = max(1, round(np.log(end) / np.log(GROWTH)))
    first = np.unique(np.geomspace(1, end, count + 1).round().astype(int))
    return first, np.add.reduceat(curves.astype(float), first[:-1] - 1, axis=1) / np.diff(first)


def _paper(axes: Axes, table: Table) -> list[float]:
    """The values that the paper prints, as lines: pale where runs are of another size. They are returned."""
    name, colour, ink = ("paper (full size)", style.PALE, style.GREY) if table.stamp else ("paper", *[style.INK] * 2)
    values = list(table.claimed("3e").values())
    for value in values:
        axes.axhline(value, color=colour, lw=0.8, ls=(0, (4, 3)), zorder=1)
        at: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
        axes.annotate(f"{name}: {value:g}", (0.02, value), (0, 2), color=ink, **at)
    return values


def _final(figure: style.Panel, table: Table) -> None:
    """A row a variant: mean error in test trials, 95 % interval, one dot per seed; a ring for training trials."""
    variants, paper = list(table.task.variants), table.printed("3e")
    labels = {variant: _two_lines(table.task.variants[variant].label) for variant in variants}
    axes = rows.make(figure, labels, _columns(table, paper), left=4.5, width=2.48, top=TOP + 0.1, bottom=0.38)
    shown = [*paper.values()]
    for row, variant in enumerate(variants):
        tested, trained = (table.values(variant, f"{name}_mse") for name in ("test", "training"))
        draw(axes, row, tested, trained, style.COLOURS[variant])
        rows.lost(axes, row, table.failures(variant), style.COLOURS[variant])
        shown += [*tested, *trained]
    for variant, value in paper.items():
        rows.paper(axes, variants.index(variant), value)
    shown = shown or [0.1]
    axes.set(xscale="log", xlim=(min(shown) / 2, max(shown) * 1.6), xlabel=ERROR)
    style.plain_log(axes.xaxis)
    training = style.mark("training trial", style.GREY, **RING)
    entries = rows.handles("test trial", table.several(), bool(paper), training, single="test trial, one seed")
    style.key(figure, entries, (0.12, 0.62))


def draw(axes: Axes, row: int, tested: np.ndarray, trained: np.ndarray, colour: str) -> None:
    """One variant's seeds [seed]: the errors of test trials, and the mean of the training trials."""
    if len(tested):
        axes.plot(trained.mean(), row, **RING | {"mec": colour})
    rows.mean(axes, row, tested, colour)


def _columns(table: Table, paper: Mapping[str, float]) -> list[rows.Column]:
    """The numbers beside the points. Seeds only where rows differ in them."""
    variants = table.task.variants

    def column(metric: str) -> dict[str, str]:
        means = {v: table.values(v, metric).mean() for v in variants if not table.absence(v)}
        return {variant: f"{mean:#.3g}" for variant, mean in means.items()}

    absent = {variant: table.absence(variant) for variant in variants}
    columns: list[rows.Column] = [(0.45, "test", absent | column("test_mse"))]
    columns.append((0.52, "training", column("training_mse")))
    if paper:
        columns.append((0.42, "paper", {v: f"{value:g}" for v, value in paper.items()}))
    return columns + table.seeds_column(0.4)


def _two_lines(label: str) -> str:
    return label.replace(" ", "\n", 1)
