"""Does the Clopath rule have little impact? As printed, and with a fall-off above twice the threshold."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paper_figures import style
from paper_figures.questions.answer import Answer
from paper_figures.questions.sources import Sources, described, not_run, of_study
from paper_figures.rows import mean
from repro.claims.stats import interval_of_mean
from repro.text import format_number

TASK = "pattern_generation"
LITERAL = {"target_scale": "raw", "readout_scale": "one", "task_loss": "mean", "rate_loss": "population_hz"}
COLOURS = {
    "e-prop 1": style.COLOURS["e_prop_1"],
    "Clopath, printed": style.COLOURS["clopath"],
    "Clopath, fall-off": "#7bc8a4",
}
Values = dict[str, np.ndarray]  # rule -> normalised mse [run]
CAPTION = """\
Normalised mse after 1000 trials. Large dots are means, lines their 95 % intervals, small dots seeds. Left: the
reading that our figures use. Right: each value as the text has it. The table has the end of an interval that
reaches the left edge."""
MEASURED = """\
Task 1.1 at the paper's size. In Eq. 57 as printed the postsynaptic factor grows with the voltage; with the
fall-off, a named reading of ours, it is zero where the pseudo-derivative that it replaces is zero, from twice the
threshold on (`clopath_falls_off`). Ratios are of means. In the reading of our figures the runs with a fall-off have
other seeds than the records (100 to 109)."""


def answer(sources: Sources) -> Answer:
    """See `paper_figures.questions`."""
    records = sources.runs(TASK)
    records = records[records.variant.isin(["e_prop_1", "clopath"])]
    study, rows = sources.study("pattern_generation_fall_off")
    plain, every = sources.study("pattern_generation_multiverse")
    falling, others = sources.study("pattern_generation_multiverse_fall_off")
    chosen = _values(_nmse(records, "e_prop_1"), _nmse(records, "clopath"), _nmse(rows, "clopath"))
    every, others = _literal(every), _literal(others)
    literal = _values(_nmse(every, "e_prop_1"), _nmse(every, "clopath"), _nmse(others, "clopath"))
    readings = {"the reading of our figures": chosen, "the literal reading": literal}
    figure = Figure(figsize=(style.WIDTH, 1.75))
    _draw(figure, readings)
    return Answer(
        name="question_clopath",
        question="The Clopath rule costs little, you write. With which voltage factor?",
        short=_short(readings),
        figure=figure,
        caption=CAPTION,
        table=_table(readings),
        measured=MEASURED,
        runs=[
            described(TASK, records),
            of_study(study, rows),
            f"{len(every)} runs of {plain.name} and {len(others)} of {falling.name} in the literal reading",
        ],
        commands=[
            "repro reproduce fig1 --profile paper --seeds 0-49",
            f"repro sweep {study.name}",
            f"repro sweep {falling.name}",
        ],
        missing=not_run((study, rows)),
    )


def _nmse(rows: pd.DataFrame, variant: str) -> np.ndarray:
    rows = rows[(rows.variant == variant) & (rows.status == "finished")]
    return rows.nmse.to_numpy(dtype=float) if len(rows) else np.empty(0)


def _literal(rows: pd.DataFrame) -> pd.DataFrame:
    for key, value in LITERAL.items():
        rows = rows[rows[key] == value]
    return rows[rows.variant.isin(["e_prop_1", "clopath"])]


def _values(*series: np.ndarray) -> Values:
    return {name: values for name, values in zip(COLOURS, series, strict=True) if len(values)}


def _short(readings: dict[str, Values]) -> str:
    sentences = []
    for reading, values in readings.items():
        if len(values) == len(COLOURS):
            own, printed, falls = (float(series.mean()) for series in values.values())
            sentences.append(
                f"In {reading} e-prop 1 ends at {format_number(own)}, the rule as printed at {format_number(printed)} "
                f"({printed / own:.0f} times as much), and with a fall-off at {format_number(falls)} "
                f"({falls / own:.1f} times)."
            )
    return " ".join(sentences) or "Not known yet."


def _table(readings: dict[str, Values]) -> list[list[str]]:
    rows = [["reading", "rule", "runs", "normalised mse, mean", "95 %", "from", "to"]]
    for reading, values in readings.items():
        for name, series in values.items():
            low, high = map(format_number, interval_of_mean(series))
            ends = [format_number(float(end)) for end in (series.min(), series.max())]
            rows.append(
                [reading, name, str(len(series)), format_number(float(series.mean())), f"{low} - {high}", *ends]
            )
    return rows


def _draw(figure: Figure, readings: dict[str, Values]) -> None:
    both = style.grid(
        figure, 1, 2, left=1.0, right=0.15, top=0.3, bottom=0.4, between=(0.15, 0), sharey=True, sharex=True
    )
    for axes, (reading, values) in zip(both[0], readings.items(), strict=True):
        axes.set_title(reading, pad=3)
        for row, (name, colour) in enumerate(COLOURS.items()):
            if name in values:
                mean(axes, row, values[name], colour)
        axes.set(xscale="log", xlim=(0.002, 3), ylim=(2.6, -0.6), xlabel="normalised mse")
        style.plain_log(axes.xaxis)
        axes.tick_params(axis="y", left=False)
        axes.set_yticks(range(len(COLOURS)), list(COLOURS))
