"""Do 20 LIF neurons solve store-recall? One survival plot with the paper's horizon of 200 iterations, 500, and 2000."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from paper_figures import style
from paper_figures.questions.answer import Answer
from paper_figures.questions.sources import Sources, described, not_run, planned, times, trained_beyond
from repro.claims.survival import curve, given_up_last
from repro.runs.registry import get_task

TASK = "store_recall"
BARS = ("lif_only_bptt", "lif_only_e_prop_1", "bptt", "e_prop_1")
HORIZONS = (200, 500, 2000)
STEPPED: dict[str, Any] = {"drawstyle": "steps-post", "solid_joinstyle": "miter"}
SHADE = {"step": "post", "lw": 0, "alpha": 0.13}
Times = dict[str, tuple[np.ndarray, np.ndarray]]
CAPTION = """\
Share of networks that have not solved the task, by iteration (Kaplan-Meier, shaded: 95 % interval); ticks are runs
that ended there unsolved. 200 is the last iteration of the paper's Fig. 2b, 500 is ten times the printed 50, and
2000 the longest training. Most LIF networks were given up at 500: beyond it their curves rest on few."""
MEASURED = """\
A run ends when the error on one batch of 128 fresh trials is below 5 %. Runs that were given up earlier than others
are censored there. A share of networks solved is that of the Kaplan-Meier curve with its 95 % interval (log-log),
or of the runs that lasted so long where none has solved the task. Where no run lasted so long there is none."""


def answer(sources: Sources) -> Answer:
    """See `paper_figures.questions`."""
    records = sources.runs(TASK)
    records = records[records.variant.isin(BARS)]
    by_bar: Times = {bar: times(records[records.variant == bar]) for bar in BARS}
    figure = Figure(figsize=(style.WIDTH, 2.5))
    _draw(figure, by_bar)
    return Answer(
        name="question_horizon",
        question="20 LIF neurons cannot solve store-recall, you write. Until when?",
        short=_short(by_bar),
        figure=figure,
        caption=CAPTION,
        table=_table(by_bar),
        measured=MEASURED,
        runs=[described(TASK, records)],
        commands=[
            "# seeds 10 to 49; the first command for e_prop_1 too, the second for lif_only_e_prop_1 too",
            "repro run store_recall --variant bptt --profile paper --seed 10",
            "repro run store_recall --variant lif_only_bptt --profile paper --seed 10 --set iterations=500",
            "# seeds 0 to 9: all bars up to 2000 iterations, on a GPU",
            "repro reproduce fig2 --panels 2a --profile paper --seeds 0-9 --device cuda",
        ],
        missing=not_run(records=planned(TASK, records)),
    )


def solved(of: tuple[np.ndarray, np.ndarray], by: int) -> tuple[float, float, float, int] | None:
    """The share solved within `by` iterations and its interval, and the number of runs that lasted so long or solved
    the task earlier; None without runs, or if the last were given up before."""
    values, censored = of
    if not len(values) or (values[given_up_last(values, censored)] < by).any():
        return None
    known = int((~censored | (values >= by)).sum())
    at, surviving, low, high = curve(values, censored)
    until = int(np.searchsorted(at, by, side="right"))
    if not until:
        return 0.0, 0.0, float(1 - 0.025 ** (1 / known)), known
    return float(1 - surviving[until - 1]), float(1 - high[until - 1]), float(1 - low[until - 1]), known


def _short(by_bar: Times) -> str:
    values = [(by, solved(by_bar[BARS[0]], by)) for by in HORIZONS]
    shares = [f"{100 * found[0]:.0f} % within {by}" for by, found in values if found]
    never = [by for by, found in values if found and not found[0]]
    if not shares:
        return "Not known yet: no run has ended."
    shares[0] = f"{shares[0].replace('within', 'solve the task within')} iterations"
    rests = _longest(*by_bar[BARS[0]]) if values[-1][1] else ""
    until = f"None solves it until iteration {max(never)}. " if never else ""
    return (
        f"{until}Of {len(by_bar[BARS[0]][0])} networks of 20 LIF neurons that BPTT trains, {', '.join(shares)}."
        f"{rests} The text names no horizon; {HORIZONS[0]} is the last iteration that it shows."
    )


def _longest(values: np.ndarray, censored: np.ndarray) -> str:
    """On how few networks the last share rests."""
    before = HORIZONS[-2]
    beyond, solved_it = trained_beyond(before, values, censored)
    if not beyond:
        return ""
    return (
        f" The last share rests on {beyond} networks that were trained on beyond iteration {before}, of which "
        f"{solved_it} solved it; the others were given up there."
    )


def _table(by_bar: Times) -> list[list[str]]:
    labels = get_task(TASK).variants
    rows = [["network", "runs", *(f"solved within {by}" for by in HORIZONS)]]
    for bar in BARS:
        cells = [solved(by_bar[bar], by) for by in HORIZONS]
        texts = [f"{100 * c[0]:.0f} % ({100 * c[1]:.0f} - {100 * c[2]:.0f} %)" if c else "" for c in cells]
        rows.append([labels[bar].label, str(len(by_bar[bar][0])), *texts])
    return rows


def _draw(figure: Figure, by_bar: Times) -> None:
    axes = style.grid(figure, 1, 1, left=0.5, right=1.4, top=0.3, bottom=0.4)[0, 0]
    labels, ends = get_task(TASK).variants, {}
    for bar, (values, censored) in by_bar.items():
        trained = values[np.isfinite(values)]
        if not len(trained):
            continue
        colour = style.COLOURS[bar]
        at, *curves = curve(values, censored)
        at = np.concatenate([[1], at, [trained.max()]])
        surviving, low, high = (np.concatenate([[1.0], y, y[-1:] if len(y) else [1.0]]) for y in curves)
        axes.plot(at, 100 * surviving, color=colour, lw=1.2, **STEPPED)
        axes.fill_between(at, 100 * low, 100 * high, color=colour, **SHADE)
        given_up = values[censored & np.isfinite(values)]
        height = 100 * surviving[np.searchsorted(at, given_up, side="right") - 1] if len(given_up) else given_up
        axes.plot(given_up, height, ls="", marker="|", ms=5, color=colour, clip_on=False)
        ends[labels[bar].label] = style.End(float(100 * surviving[-1]), colour, min(float(at[-1]), max(HORIZONS)))
    for by in HORIZONS:
        axes.axvline(by, color=style.GREY, lw=0.6, ls=(0, (3, 2)), zorder=0)
        axes.text(by, 104, str(by), ha="center", color=style.GREY)
    axes.set(xscale="log", xlim=(10, max(HORIZONS)), ylim=(0, 100), xlabel="iterations", ylabel="not solved yet (%)")
    style.plain_log(axes.xaxis)
    style.label_ends(axes, ends, {}, gap=0.08)
