"""Is there one reading of figure 2b in which its three claims hold?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paper_figures import style
from paper_figures.questions.answer import Answer
from paper_figures.questions.sources import Sources, not_run, of_study
from repro.claims.multiverse import OPEN, YES, ReadingResult, read_results
from repro.studies import universe

CLAIMS = ("2b-decode", "2b-long", "2b-age")
AGES = (25, 75, 200)
UNTRAINED = 0  # the age of the control
COLOURS = ("#3b3b98", "#9a8fd1", "#7a5c2e", "#c4a46a")  # of readings: no variant has one of these
LATE = "decode_4s"  # the metric of 2b-decode
LEVEL = 90.0  # per cent: as printed
POINT: dict[str, Any] = {"marker": "D", "ms": 4.5, "mew": 0.9, "ls": "", "zorder": 4}
CAPTION = """\
Accuracy of decoding the stored bit (mean of three seeds; dots are seeds) against the age of the network, in four
readings: from e or from its slow component, with values or silence after the STORE. Left: mean over delays; right:
4 s after the STORE (diamonds: means). Age 0 is the control: untrained networks. Dashed: the printed 90 %; solid:
chance. epsilon_a is the slow component of the trace e."""
MEASURED = """\
One run gives all four readings. A claim holds where it does for the mean of three seeds
([readings.md](readings.md)): 2b-decode asks for more than 90 % up to 4 s after the STORE, 2b-long for more than
chance much later than tau_a, 2b-age for an accuracy that rises from age 25 to 75 to 200."""


def answer(sources: Sources) -> Answer:
    """See `paper_figures.questions`."""
    trained = sources.study("store_recall_multiverse_decoding")
    untrained = sources.study("store_recall_multiverse_untrained")
    (listed,) = [each for each in universe.load() if each.study.name == trained[0].name]
    results = [result for result in read_results() if result.reading.study == trained[0].name]
    figure = Figure(figsize=(style.WIDTH, 2.2))
    _draw(figure, listed.measures, trained[1], untrained[1])
    return Answer(
        name="question_decoding",
        question="Is there one reading of figure 2b in which its three claims hold?",
        short=_short(results, trained[1], untrained[1], listed.measures),
        figure=figure,
        caption=CAPTION,
        table=_table(results, list(listed.measures)),
        measured=MEASURED,
        runs=[of_study(*trained), of_study(*untrained)],
        commands=[*(f"repro sweep {study.name}" for study, _ in (trained, untrained)), "repro readings"],
        missing=not_run(trained, untrained),
    )


def _by_reading(results: list[ReadingResult]) -> dict[str, dict[str, ReadingResult]]:
    """Reading -> claim -> result."""
    readings: dict[str, dict[str, ReadingResult]] = {}
    for result in results:
        readings.setdefault(result.reading.values.split("measure=")[-1], {})[result.claim] = result
    return readings


def _short(results: list[ReadingResult], trained: pd.DataFrame, untrained: pd.DataFrame, measures: Any) -> str:
    readings = _by_reading(results)
    if trained.empty or untrained.empty or any(result.holds == OPEN for result in results):
        return "Not known yet: runs are missing."
    together = [name for name, of in readings.items() if all(of[claim].holds == YES for claim in CLAIMS)]
    if together:
        return f"Yes: {'; '.join(together)}."
    counts = [f"{claim} in {sum(of[claim].holds == YES for of in readings.values())}" for claim in CLAIMS]
    late = []
    for name, template in measures.items():
        before, after = (f"{_values(rows, template.format(LATE)).mean():.0f} %" for rows in (untrained, trained))
        late.append(f"{name} {before} and {after}")
    return (
        f"No. Of {len(readings)} readings none meets all three claims ({', '.join(counts)}). Decoded correctly 4 s "
        f"after the STORE, from untrained networks and after {AGES[-1]} iterations: {'; '.join(late)}. 2b-age compares "
        f"iterations {AGES[0]}, {AGES[1]} and {AGES[2]}: what is gained before iteration {AGES[0]} is not in it."
    )


def _table(results: list[ReadingResult], order: list[str]) -> list[list[str]]:
    readings = _by_reading(results)
    rows = [["decoded from, after the STORE", *CLAIMS]]
    for name in [name for name in order if name in readings]:
        cells = [f"{'holds' if r.holds == YES else 'does not hold'} ({r.observed})" for r in readings[name].values()]
        rows.append([name, *cells])
    return rows


def _draw(figure: Figure, measures: Any, trained: pd.DataFrame, untrained: pd.DataFrame) -> None:
    margins: dict[str, Any] = {"top": 0.3, "bottom": 0.4}
    left = style.grid(figure, 1, 1, left=0.5, right=4.3, **margins)[0, 0]
    right = style.grid(figure, 1, 1, left=4.2, right=0.1, **margins)[0, 0]
    ends = {}
    for place, ((name, template), colour) in enumerate(zip(measures.items(), COLOURS, strict=True)):
        series = [_values(untrained, template.format(f"decode_{AGES[-1]}"))]
        series += [_values(trained, template.format(f"decode_{age}")) for age in AGES]
        ages = [age for age, values in zip((UNTRAINED, *AGES), series, strict=True) if len(values)]
        means = [values.mean() for values in series if len(values)]
        left.plot(ages, means, color=colour, marker="o", ms=3)
        for age, values in zip((UNTRAINED, *AGES), series, strict=True):
            left.scatter(np.full(len(values), age), values, s=4, color=colour, alpha=0.5, lw=0)
        if means:
            ends[name] = style.End(float(means[-1]), colour)
        for shift, rows, face in ((-0.17, untrained, "white"), (0.17, trained, "")):
            late = _values(rows, template.format(LATE))
            if len(late):
                right.plot(place + shift, late.mean(), **POINT, mfc=face or colour, mec=colour)
                right.scatter(np.full(len(late), place + shift), late, s=5, color=colour, lw=0, zorder=3)
    for axes in (left, right):
        axes.axhline(LEVEL, color=style.GREY, lw=0.6, ls=(0, (3, 2)), zorder=0)
        axes.axhline(50, color=style.PALE, lw=0.6, zorder=0)
        axes.set(ylim=(40, 103), ylabel="decoded correctly (%)")
    left.set(xlim=(-8, 208), xlabel="iterations of training", xticks=[UNTRAINED, *AGES])
    style.label_ends(left, ends, {}, gap=0.09)
    left.set_title("mean over delays", pad=3)
    right.set_title("4 s after the STORE; open: untrained", pad=3)
    right.set_xticks(range(len(measures)), [name.replace(", ", ",\n") for name in measures])


def _values(rows: pd.DataFrame, metric: str) -> np.ndarray:
    """Per cent, [seed]; without lost runs."""
    return 100 * rows[metric].dropna().to_numpy(dtype=float) if metric in rows else np.empty(0)
