"""Figure 3e: the error after one update, against outer iterations and at the end (task 2.1)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from paper_figures import style
from paper_figures.fig3c import EXAMPLE
from paper_figures.table import Table, mean_interval
from repro.claims.stats import interval_of_mean

GROWTH = 1.1  # of the windows over which curves are averaged
TOP = 0.72  # inches from the top to the axes
LOSS = ("task_loss", "motor_weight", "rate_loss", "rate_cost")  # the values that make the outer loss


def panel_e(figure: style.Panel, table: Table) -> None:
    """Error of the tip in test trials against outer iterations at the left; the final ones of each variant, on
    movements never trained on, at the right."""
    style.head(figure, "e", "Error of the tip, smoothed (window: 10 % of the iteration number)")
    style.head(figure, "", f"On new movements: {table.of_seeds('mean')}", left=3.72)
    _settings(figure, table)
    _curves(figure, table)
    _final(figure, table)


def _settings(figure: style.Panel, table: Table) -> None:
    """Write the outer loss below the head, in the colour of the stamp if it is not the paper's."""
    variant = next((variant for variant in table.task.variants if not table.absence(variant)), None)
    if variant is None:
        return
    ours, paper = table.example(variant)[0].config, vars(table.task.config())
    other = any(ours[key] != paper[key] for key in LOSS)
    text = outer_loss(ours, ", not as printed" if other else "")
    style.note(figure, text, style.WARNING if other else style.GREY)


def outer_loss(config: Mapping[str, Any], remark: str = "") -> str:
    """The outer loss and the reading of the movements as text: "outer loss: mean squared error of the tip + ...";
    `remark` stands before the colon."""
    error = {"sum": "summed", "mean": "mean"}[config["task_loss"]]
    omega = {"frequency": "ω is a frequency", "period": "ω is a period"}[config["omega_reading"]]
    target = {"analogue": "target as coordinates", "population": "target as spikes"}[config["target_input"]]
    return (
        f"outer loss{remark}: {error} squared error of the tip + {config['motor_weight']:g} × that of the velocities"
        f" + {config['rate_cost']:g} × rates ({config['rate_loss']}); {config['batch_size']} movements a batch\n"
        f"reading: {omega} (Eq. 60); {target}"
    )


def _curves(figure: style.Panel, table: Table) -> None:
    """One line per variant over its faint raw errors; training trials of one; an arm at rest; the paper's value."""
    axes = style.grid(figure, 1, 1, left=0.5, right=4.55, top=TOP, bottom=0.38)[0, 0]
    tested, trained = table.curves("test_mse"), table.curves("training_mse")
    if not tested:
        style.missing(axes, "no run finished")
        return
    label = {variant: about.label for variant, about in table.task.variants.items()}
    ends = {}
    if EXAMPLE in trained:
        last = _curve(axes, trained[EXAMPLE], style.COLOURS[EXAMPLE], thin=True)
        ends["training trial (spiking)"] = (last, style.COLOURS[EXAMPLE])
    for variant in (variant for variant in label if variant in tested):
        ends[label[variant]] = (_curve(axes, tested[variant], style.COLOURS[variant]), style.COLOURS[variant])
    at_rest = float(table.finished.at_rest_mse.mean())
    axes.axhline(at_rest, color=style.GREY, lw=0.8, zorder=1)
    ends["arm at rest"] = (at_rest, style.GREY)
    values = _paper(axes, table)
    drawn = np.concatenate([curves.ravel() for curves in (*tested.values(), *trained.values())])
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(1, max(curves.shape[1] for curves in tested.values())),
        ylim=(min(*values, drawn.min()) / 1.5, drawn.max() * 1.1),
        xlabel="outer iteration",
        ylabel="mse (squared arm lengths)",
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
        iteration = np.arange(1, curves.shape[1] + 1)
        axes.plot(iteration, curves.mean(0), color=colour, lw=0.4, alpha=0.15, zorder=1)
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
    name, colour, ink = ("paper (its own size)", style.PALE, style.GREY) if table.stamp else ("paper", *[style.INK] * 2)
    values = list(table.claimed("3e").values())
    for value in values:
        axes.axhline(value, color=colour, lw=0.8, ls=(0, (4, 3)), zorder=1)
        at: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
        axes.annotate(f"{name}: {value:g}", (0.02, value), (0, 2), color=ink, **at)
    return values


def _final(figure: style.Panel, table: Table) -> None:
    """One bar per variant: mean error in test trials, 95 % interval, one dot per seed; a ring for training trials."""
    variants, paper = list(table.task.variants), table.printed("3e")
    columns = _columns(table, paper)
    numbers = sum(width for width, _, _ in columns)
    axes, gutter = style.grid(
        figure, 1, 2, left=4.5, right=0.12, top=TOP, bottom=0.38, sharey=True, width_ratios=(2.48 - numbers, numbers)
    )[0]
    shown = [*paper.values()]
    for row, variant in enumerate(variants):
        tested, trained = (table.values(variant, f"{name}_mse") for name in ("test", "training"))
        _bar(axes, row, tested, trained, style.COLOURS[variant])
        style.lost(axes, table.failures(variant), row, style.COLOURS[variant])
        shown += [*tested, *trained]
    for variant, value in paper.items():
        style.diamond(axes, value, variants.index(variant))
    shown = shown or [0.1]
    axes.set(
        xscale="log",
        xlim=(min(shown) / 2, max(shown) * 1.6),
        ylim=(len(variants) - 0.4, -0.6),
        xlabel="mse (squared arm lengths)",
    )
    style.plain_log(axes.xaxis)
    axes.set_yticks(range(len(variants)), [_two_lines(table.task.variants[v].label) for v in variants])
    axes.tick_params(axis="y", left=False)
    style.numbers(gutter, variants, columns)


def _bar(axes: Axes, row: int, tested: np.ndarray, trained: np.ndarray, colour: str) -> None:
    """One variant's seeds [seed]."""
    if not len(tested):
        return
    mean = tested.mean()
    axes.barh(row, mean, 0.62, color=colour, alpha=0.45)
    if len(tested) > 1:
        low, high = interval_of_mean(tested)
        axes.errorbar(mean, row, xerr=[[mean - low], [high - mean]], color=style.INK, lw=0.8, capsize=1.5, zorder=4)
    style.dots(axes, tested, row, colour)
    axes.scatter(trained.mean(), row, s=16, color="white", edgecolor=colour, lw=0.9, zorder=3)


def _columns(table: Table, paper: Mapping[str, float]) -> list[style.Column]:
    """The numbers behind the bars. Seeds only where bars differ in them."""
    variants = table.task.variants

    def column(metric: str) -> dict[str, str]:
        means = {v: table.values(v, metric).mean() for v in variants if not table.absence(v)}
        return {variant: f"{mean:#.3g}" for variant, mean in means.items()}

    absent = {variant: table.absence(variant) for variant in variants}
    columns: list[style.Column] = [
        (0.45, "test", absent | column("test_mse")),
        (0.66, "\N{WHITE CIRCLE} training", column("training_mse")),
    ]
    if paper:
        columns.append((0.52, "\N{BLACK DIAMOND} paper", {v: f"{value:g}" for v, value in paper.items()}))
    counts = {variant: table.count(variant) for variant in variants}
    if len(set(counts.values())) > 1:
        columns.append((0.4, "seeds", counts))
    return columns


def _two_lines(label: str) -> str:
    return label.replace(" ", "\n", 1)
