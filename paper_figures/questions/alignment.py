"""Why does e-prop 1 fail on store-recall for some seeds? Iterations against the initial alignment of B and W_out."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paper_figures import style
from paper_figures.questions.alignment_plot import HORIZON, RULES, SIZES, Runs, draw
from paper_figures.questions.answer import Answer
from paper_figures.questions.sources import Sources, described, not_run, of_study, planned, times, trained_beyond
from repro.claims.stats import interval_of_share
from repro.claims.survival import log_rank, median
from repro.runs.registry import get_task
from repro.studies.study import Study
from repro.text import format_number

TASK = "store_recall"
CHOSEN, FEWEST = "store_recall_alignment", 3  # seeds picked by their alignment; from how many on groups are compared
CAPTION = f"""\
Iterations to 5 % error against the alignment of feedback and readout weights before training; every dot is a
network, squares are networks picked by their alignment, open marks did not solve the task within {HORIZON}
iterations. Right: the share of e-prop 1's networks that did not, without the picked ones, with its exact 95 %
interval."""
MEASURED = f"""\
Alignment is the cosine, over neurons, of the difference between the two readouts' columns of B and that between
their rows of W_out: the two readouts compete, and only these differences matter. It follows from seed and config
and needs no training (tasks/store_recall/alignment.py). Symmetric feedback and BPTT do not use B: they are drawn at
the alignment that their network would have with it. A network fails if no validation batch is below 5 % within
{HORIZON} iterations. Medians are Kaplan-Meier's. Rank correlations are Spearman's; networks that fail share the highest
rank. Larger networks have as many LIF as adaptive neurons."""


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
    draw(figure, by_rule, by_size, chosen)
    return Answer(
        name="question_alignment",
        question="Why does e-prop 1 fail on store-recall for some seeds?",
        short=f"{_short(by_rule, by_size, chosen)} {_later(records[records.variant == RULES[0]])}".strip(),
        figure=figure,
        caption=CAPTION,
        table=_table(by_rule, by_size),
        measured=MEASURED,
        runs=[described(TASK, records), of_study(*picked), *(of_study(*studies[size]) for size in SIZES)],
        commands=[
            "# seeds 10 to 49; the same for e_prop_1_symmetric and bptt; seeds 0 to 9 with --device cuda",
            "repro run store_recall --variant e_prop_1 --profile paper --seed 10",
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

    if len(runs.failed) < 4:
        return float("nan"), float("nan")
    found = spearmanr(runs.alignment, np.where(runs.failed, 2 * HORIZON, runs.iterations))
    return float(found.statistic), float(found.pvalue)


def _short(by_rule: dict[str, Runs], by_size: dict[int, Runs], chosen: Runs) -> str:
    ours = by_size[SIZES[0]]
    rho, p = _correlation(ours)
    if not np.isfinite(rho):
        return "Not known yet: too few runs have ended."
    parts = [
        f"Over {len(ours.failed)} networks of {SIZES[0]} neurons the iterations that e-prop 1 needs correlate with the "
        f"initial alignment by {rho:.2f} (p = {p:.1g}). {_of_signs(ours)}",
        _of_chosen(chosen),
        "With the true readout weights in place of B (e-prop 1s) "
        f"{_failed(by_rule['e_prop_1_symmetric'])}, with BPTT {_failed(by_rule['bptt'])}.",
    ]
    text = " ".join(part for part in [*parts, _of_sizes(by_size)] if part)
    return f"{_verdict(ours, chosen)} {text}"


def _of_signs(ours: Runs) -> str:
    """How often networks fail on either side of an alignment of 0."""
    shares = [f"{part.failed.sum()} of {len(part.failed)}" for part in _split(ours)]
    return f"Of networks with a negative alignment {shares[0]} fail, of those with a positive one {shares[1]}."


def _of_sizes(by_size: dict[int, Runs]) -> str:
    from scipy.stats import fisher_exact

    sizes = [f"{_failed(by_size[size])} with {size} neurons" for size in SIZES if len(by_size[size].failed)]
    small, large = by_size[SIZES[0]].failed, np.concatenate([by_size[size].failed for size in SIZES[1:]])
    test = ""
    if len(large):
        counts = [[each.sum(), (~each).sum()] for each in (small, large)]
        test = f" (more than {SIZES[0]} against {SIZES[0]}: Fisher's exact test, p = {fisher_exact(counts).pvalue:.1g})"
    return f"Of e-prop 1, by size: {', '.join(sizes)}{test}."


def _later(runs: pd.DataFrame) -> str:
    """How many of the networks that failed solved the task when they were trained on."""
    values, censored = times(runs)
    beyond, solved = trained_beyond(HORIZON, values, censored)
    if not beyond:
        return ""
    last = values[np.isfinite(values)].max()
    return (
        f"Of {beyond} networks that were trained on beyond {HORIZON} iterations, {solved} solved the task by iteration "
        f"{last:.0f}."
    )


def _verdict(ours: Runs, chosen: Runs) -> str:
    rho, p = _correlation(ours)
    low, high = _split(chosen)
    drawn = rho < 0 and p < 0.05
    if min(len(low.failed), len(high.failed)) >= FEWEST and _p_of(low, high) < 0.05:
        less = "" if drawn else " where it is extreme, and explains little among networks as they are drawn"
        return f"The initial alignment of B and W_out matters{less}."
    return f"The initial alignment of B and W_out {'matters' if drawn else 'is not shown to matter'}."


def _split(chosen: Runs) -> tuple[Runs, Runs]:
    """Those of negative and of positive alignment."""
    return Runs(*(part[chosen.alignment < 0] for part in chosen)), Runs(
        *(part[chosen.alignment > 0] for part in chosen)
    )


def _p_of(low: Runs, high: Runs) -> float:
    return log_rank(low.iterations, low.failed, high.iterations, high.failed)


def _of_chosen(chosen: Runs) -> str:
    low, high = _split(chosen)
    if min(len(low.failed), len(high.failed)) < FEWEST:
        return ""
    ends = [f"{runs.alignment.min():.2f} to {runs.alignment.max():.2f}" for runs in (low, high)]
    medians = [median(runs.iterations, runs.failed) for runs in (low, high)]
    p = _p_of(low, high)
    test = f"; log-rank p = {p:.1g}" if np.isfinite(p) else ""
    texts = [f"a median of {m:.0f} iterations" if np.isfinite(m) else "no median" for m in medians]
    return (
        f"Of {len(low.failed)} networks that were picked before training for a bad alignment ({ends[0]}), "
        f"{low.failed.sum()} did not solve the task within {HORIZON} iterations ({texts[0]}); of {len(high.failed)} "
        f"that were picked for a good one ({ends[1]}), {high.failed.sum()} ({texts[1]}{test})."
    )


def _failed(runs: Runs) -> str:
    return f"{runs.failed.sum()} of {len(runs.failed)} networks fail"


def _table(by_rule: dict[str, Runs], by_size: dict[int, Runs]) -> list[list[str]]:
    labels = get_task(TASK).variants
    rows = [
        [
            "rule",
            "neurons",
            "networks",
            "median",
            f"not solved in {HORIZON}",
            "95 %",
            "rank correlation",
            "p",
            "sd of alignment",
        ]
    ]
    series = [("e_prop_1", size, by_size[size]) for size in SIZES]
    series += [(rule, SIZES[0], by_rule[rule]) for rule in RULES[1:]]
    for rule, size, runs in series:
        if not len(runs.failed):
            continue
        low, high = interval_of_share(int(runs.failed.sum()), len(runs.failed))
        numbers = [format_number(value) for value in _correlation(runs)]
        spread = format_number(float(runs.alignment.std(ddof=1))) if len(runs.failed) > 1 else ""
        middle = format_number(median(runs.iterations, runs.failed))
        share = [str(runs.failed.sum()), f"{100 * low:.0f} - {100 * high:.0f} %"]
        rows.append([labels[rule].label, str(size), str(len(runs.failed)), middle, *share, *numbers, spread])
    return rows
