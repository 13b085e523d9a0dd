"""Why does e-prop 1 fail on store-recall for some seeds? Iterations against the initial alignment of B and W_out."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_figures import style
from paper_figures.questions.answer import Answer
from paper_figures.questions.sources import Sources, described, not_run, of_study, planned, times
from repro.claims.stats import interval_of_share
from repro.claims.survival import log_rank, median
from repro.runs.registry import get_task
from repro.studies.study import Study
from repro.text import format_number

TASK, RULES = "store_recall", ("e_prop_1", "e_prop_1_symmetric", "bptt")
SIZES = (20, 40, 80)
HORIZON = 500  # iterations: ten times the printed 50
NEVER = 800.0  # where runs are drawn that did not solve the task
CHOSEN, FEWEST = "store_recall_alignment", 3  # seeds picked by their alignment; from how many on groups are compared
CAPTION = f"""\
Iterations to 5 % error against the alignment of feedback and readout weights before training; every dot is a
network, squares are networks picked by their alignment, open triangles did not solve the task within {HORIZON}
iterations. Right: their share without the picked ones, with its exact 95 % interval."""
MEASURED = f"""\
Alignment is the cosine, over neurons, of the difference between the two readouts' columns of B and that between
their rows of W_out: the two readouts compete, and only these differences matter. It follows from seed and config
and needs no training (tasks/store_recall/alignment.py). Symmetric feedback and BPTT do not use B: they are drawn at
the alignment that their network would have with it. Rank correlations are Spearman's; networks that did not solve
the task within {HORIZON} iterations share the highest rank. Larger networks have as many LIF as adaptive neurons."""


class Runs(NamedTuple):
    """Runs of one rule: alignment, iterations and whether they never solved the task within the horizon, each [run]."""

    alignment: np.ndarray
    iterations: np.ndarray
    never: np.ndarray


def answer(sources: Sources) -> Answer:
    """See `paper_figures.questions`."""
    records = sources.runs(TASK)
    records = records[records.variant.isin(RULES)]
    studies = {size: sources.study(f"store_recall_neurons_{size}") for size in SIZES}
    by_rule = {rule: _of_records(sources, records[records.variant == rule]) for rule in RULES}
    by_size = {size: _of_study(sources, *studies[size]) for size in SIZES}
    by_size[SIZES[0]] = _joined(by_rule["e_prop_1"], by_size[SIZES[0]])
    picked = sources.study(CHOSEN)
    chosen = _of_study(sources, *picked)
    figure = Figure(figsize=(style.WIDTH, 2.5))
    _draw(figure, by_rule, by_size, chosen)
    return Answer(
        name="question_alignment",
        question="Why does e-prop 1 fail on store-recall for some seeds?",
        short=_short(by_rule, by_size, chosen),
        figure=figure,
        caption=CAPTION,
        table=_table(by_rule, by_size),
        measured=MEASURED,
        runs=[described(TASK, records), of_study(*picked), *(of_study(*studies[size]) for size in SIZES)],
        commands=[
            "repro reproduce fig2 --panels 2a --profile paper --seeds 10-49",
            *(f"repro sweep {study.name}" for study, _ in (picked, *studies.values())),
        ],
        missing=not_run(picked, *studies.values(), records=planned(TASK, records)),
    )


def _of_records(sources: Sources, runs: pd.DataFrame) -> Runs:
    keys = [name for name in runs.columns if name.startswith("config.")]
    settings = [
        {key.removeprefix("config."): value for key, value in row.items() if value == value and value is not None}
        for row in runs[keys].to_dict("records")
    ]
    return _runs(sources, runs, settings)


def _of_study(sources: Sources, study: Study, runs: pd.DataFrame) -> Runs:
    config = get_task(TASK).resolve("e_prop_1", study.profile, study.overrides(study.search[0]))
    return _runs(sources, runs, [vars(config)] * len(runs))


def _runs(sources: Sources, runs: pd.DataFrame, settings: list[dict[str, Any]]) -> Runs:
    """With random feedback in place of the rule's, so that all rules have the alignment of the same matrices."""
    random = {"feedback": "random", "algorithm": "eprop"}
    seeds = [int(seed) for seed in runs.seed]
    pairs = zip(settings, seeds, strict=True)
    cosine = [sources.as_built(TASK, {**values, **random}, seed)["alignment"] for values, seed in pairs]
    return Runs(np.array(cosine, dtype=float), *times(runs, HORIZON))


def _joined(one: Runs, other: Runs) -> Runs:
    return Runs(*(np.concatenate(pair) for pair in zip(one, other, strict=True)))


def _correlation(runs: Runs) -> tuple[float, float]:
    """Spearman's rho and its two-sided p; nan for fewer than four runs."""
    from scipy.stats import spearmanr

    if len(runs.never) < 4:
        return float("nan"), float("nan")
    found = spearmanr(runs.alignment, np.where(runs.never, 2 * HORIZON, runs.iterations))
    return float(found.statistic), float(found.pvalue)


def _short(by_rule: dict[str, Runs], by_size: dict[int, Runs], chosen: Runs) -> str:
    ours = by_size[SIZES[0]]
    rho, p = _correlation(ours)
    if not np.isfinite(rho):
        return "Not known yet: too few runs have ended."
    parts = [
        f"Over {len(ours.never)} networks of {SIZES[0]} neurons the iterations that e-prop 1 needs correlate with the "
        f"initial alignment by {rho:.2f} (p = {p:.1g}).",
        _of_chosen(chosen),
        "With the true readout weights in place of B (e-prop 1s) "
        f"{_failed(by_rule['e_prop_1_symmetric'])}, with BPTT {_failed(by_rule['bptt'])}.",
    ]
    sizes = [f"{_failed(by_size[size])} with {size} neurons" for size in SIZES if len(by_size[size].never)]
    text = " ".join(part for part in [*parts, f"Of e-prop 1, by size: {', '.join(sizes)}."] if part)
    return f"{_verdict(ours, chosen)} {text}"


def _verdict(ours: Runs, chosen: Runs) -> str:
    rho, p = _correlation(ours)
    low, high = _split(chosen)
    drawn = rho < 0 and p < 0.05
    if min(len(low.never), len(high.never)) >= FEWEST and _p_of(low, high) < 0.05:
        less = "" if drawn else " where it is extreme, and explains little among networks as they are drawn"
        return f"The initial alignment of B and W_out matters{less}."
    return f"The initial alignment of B and W_out {'matters' if drawn else 'is not shown to matter'}."


def _split(chosen: Runs) -> tuple[Runs, Runs]:
    """Those of negative and of positive alignment."""
    return Runs(*(part[chosen.alignment < 0] for part in chosen)), Runs(
        *(part[chosen.alignment > 0] for part in chosen)
    )


def _p_of(low: Runs, high: Runs) -> float:
    return log_rank(low.iterations, low.never, high.iterations, high.never)


def _of_chosen(chosen: Runs) -> str:
    low, high = _split(chosen)
    if min(len(low.never), len(high.never)) < FEWEST:
        return ""
    ends = [f"{runs.alignment.min():.2f} to {runs.alignment.max():.2f}" for runs in (low, high)]
    medians = [median(runs.iterations, runs.never) for runs in (low, high)]
    texts = [f"a median of {m:.0f} iterations" if np.isfinite(m) else "no median" for m in medians]
    return (
        f"Of {len(low.never)} networks that were picked before training for a bad alignment ({ends[0]}), "
        f"{low.never.sum()} did not solve the task within {HORIZON} iterations ({texts[0]}); of {len(high.never)} that "
        f"were picked for a good one ({ends[1]}), {high.never.sum()} ({texts[1]}; log-rank p = {_p_of(low, high):.1g})."
    )


def _failed(runs: Runs) -> str:
    return f"{runs.never.sum()} of {len(runs.never)} networks fail"


def _table(by_rule: dict[str, Runs], by_size: dict[int, Runs]) -> list[list[str]]:
    labels = get_task(TASK).variants
    rows = [
        ["rule", "neurons", "networks", f"not solved in {HORIZON}", "95 %", "rank correlation", "p", "sd of alignment"]
    ]
    series = [("e_prop_1", size, by_size[size]) for size in SIZES]
    series += [(rule, SIZES[0], by_rule[rule]) for rule in RULES[1:]]
    for rule, size, runs in series:
        if not len(runs.never):
            continue
        low, high = interval_of_share(int(runs.never.sum()), len(runs.never))
        numbers = [format_number(value) for value in _correlation(runs)]
        spread = format_number(float(runs.alignment.std(ddof=1))) if len(runs.never) > 1 else ""
        share = [str(len(runs.never)), str(runs.never.sum()), f"{100 * low:.0f} - {100 * high:.0f} %"]
        rows.append([labels[rule].label, str(size), *share, *numbers, spread])
    return rows


def _draw(figure: Figure, by_rule: dict[str, Runs], by_size: dict[int, Runs], chosen: Runs) -> None:
    margins: dict[str, Any] = {"left": 0.5, "right": 1.75, "top": 0.55, "bottom": 0.4}
    axes = style.grid(figure, 1, 3, between=(0.12, 0), sharey=True, **margins)[0]
    for rule in RULES[1:]:
        _scatter(axes[0], by_rule[rule], style.COLOURS[rule])
    _scatter(axes[0], chosen, style.COLOURS["e_prop_1"], "s")
    for place, size in zip(axes, SIZES, strict=True):
        _scatter(place, by_size[size], style.COLOURS["e_prop_1"])
        place.axvline(0, color=style.PALE, lw=0.5, zorder=0)
        place.set(xlim=(-0.65, 0.65), yscale="log", ylim=(9, 1100), xlabel="alignment (cosine)")
        if not len(by_size[size].never):
            place.text(0, 90, "not run", color=style.GREY, style="italic", ha="center")
        place.set_title(f"{size} neurons", pad=3)
    axes[0].set_ylabel("iterations to 5 % error")
    axes[0].set_yticks([10, 30, 100, 300, NEVER], ["10", "30", "100", "300", "never"])
    axes[0].minorticks_off()
    labels = get_task(TASK).variants
    names = [(labels[rule].label, style.COLOURS[rule]) for rule in RULES]
    for place, (name, colour) in enumerate(names):
        figure.text((0.5 + 0.8 * place) / style.WIDTH, 1 - 0.16 / 2.5, name, color=colour)
    _shares(style.grid(figure, 1, 1, **(margins | {"left": style.WIDTH - 1.2, "right": 0.1}))[0, 0], by_size)


def _scatter(axes: Axes, runs: Runs, colour: str, marker: str = "o") -> None:
    done = ~runs.never
    axes.scatter(
        runs.alignment[done],
        np.maximum(runs.iterations[done], 1),
        s=9,
        marker=marker,
        color=colour,
        edgecolor="white",
        lw=0.3,
    )
    look: dict[str, Any] = {"s": 12, "marker": "^", "facecolor": "white", "edgecolor": colour, "lw": 0.7}
    axes.scatter(runs.alignment[runs.never], np.full(runs.never.sum(), NEVER), **look)


def _shares(axes: Axes, by_size: dict[int, Runs]) -> None:
    """The share of networks that did not solve the task, by size."""
    for place, size in enumerate(SIZES):
        failed, of = int(by_size[size].never.sum()), len(by_size[size].never)
        if of:
            share, (low, high) = failed / of, interval_of_share(failed, of)
            spread = [[100 * (share - low)], [100 * (high - share)]]
            colour = style.COLOURS["e_prop_1"]
            axes.errorbar(place, 100 * share, yerr=spread, color=colour, marker="o", ms=4, lw=0.8, capsize=2.5)
            axes.annotate(
                f"{failed}/{of}", (place, 100 * high), (0, 2), textcoords="offset points", ha="center", fontsize=6
            )
    axes.set(xlim=(-0.5, len(SIZES) - 0.5), ylim=(0, 105), xlabel="neurons", ylabel="never solved (%)")
    axes.set_xticks(range(len(SIZES)), [str(size) for size in SIZES])
