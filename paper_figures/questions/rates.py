"""Is an order of figures 1d, 2a, 4e, 4f that of the learning rules, or of one learning rate or number of updates?"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from paper_figures import style
from paper_figures.questions import updates
from paper_figures.questions.answer import Answer
from paper_figures.questions.sources import Sources, described, not_run, of_study, times
from repro.claims.claim import load_claims
from repro.claims.multiverse import NO, OPEN, YES, ReadingResult
from repro.claims.survival import median
from repro.studies import table
from repro.studies.readings import judge
from repro.studies.spec import StudySpec
from repro.studies.study import Study
from repro.studies.universe import Universe

KEY = "learning_rate"
NAMES = ("a third", "printed", "three times", "each at its best")
WORDS = {YES: "holds", NO: "does not hold", OPEN: ""}
ALIKE = "alike"
CENSORED = "iterations"  # a metric that may be only a lower bound
GIVEN_UP: dict[str, Any] = {"marker": "^", "facecolor": "white", "lw": 0.6, "zorder": 4}
CAPTION = """\
Each method at a third, once and three times the printed rate (4e: that of our smaller network), at a small size.
Lines are means of the seeds that ended, dots are seeds. In 2a lines are Kaplan-Meier medians, open triangles are
runs that were given up at 300 iterations, and a ring there means that fewer than half of the runs solved the task;
the table has means in which those runs count as 300. Lost runs are left out of lines and have the worst rank in the
table."""
MEASURED = """\
An order holds where it does for the means of three seeds; lost runs have the worst rank. *Each at its best* takes
for every method the rate at which its mean is best. Rules of figures 1d and 2a make one update a trial or batch
each, so that iterations are updates; in figure 4 a rule makes one update a window. Sizes: 1d, 200 neurons and 500
trials; 2a, batches of 32 trials and 300 iterations; 4e, 64 units and 2000 batches; 4f, 20,000 words and 3 epochs. In
2a a task is solved where the mean of 20 batches is below 5 %, and a run that was given up counts as 300 iterations:
where most runs were, an order means little. The trainings of 4e and 4f end far before full
ones do, and in 4f BPTT in windows of 20 makes a fifth of the updates of the others. Orders that do not hold there show
little about figure 4."""


class Panel(NamedTuple):
    """A figure of the paper: the study of its rates, the name of the axis, whether that is logarithmic."""

    name: str
    figure: str
    study: str
    axis: str
    log: bool


PANELS = (
    Panel("1d", "fig1", "pattern_generation_rates", "normalised mse", True),
    Panel("2a", "fig2", "store_recall_rates", "iterations (median)", True),
    Panel("4e", "fig4", "copy_repeat_rates", "length solved (steps)", False),
    Panel("4f", "fig4", "word_prediction_rates", "validation perplexity", True),
)
Studies = dict[str, tuple[Study, pd.DataFrame]]


def answer(sources: Sources) -> Answer:
    """See `paper_figures.questions`."""
    studies: Studies = {panel.name: sources.study(panel.study) for panel in PANELS}
    lines = [line for panel in PANELS for line in _orders(panel, studies[panel.name][0])]
    edges = [text for panel in PANELS if (text := _at_the_edge(panel, studies[panel.name][0]))]
    copy, words = updates.of_copy_repeat(sources), updates.of_word_prediction(sources)
    figure = Figure(figsize=(style.WIDTH, 4.6))
    _draw(figure, studies)
    return Answer(
        name="question_rates",
        question="Is an order an artefact of the learning rate, or of the number of updates?",
        short=f"{_short(lines, edges)} {copy.text} {words.text}",
        figure=figure,
        caption=CAPTION,
        table=[["figure", "claim", "order", *NAMES], *lines],
        measured=MEASURED,
        runs=[
            *(of_study(*studies[panel.name]) for panel in PANELS),
            described("copy_repeat", copy.runs),
            described("word_prediction", words.runs),
        ],
        commands=[f"repro sweep {panel.study}" for panel in PANELS],
        missing=not_run(*studies.values()),
    )


def _universe(panel: Panel, study: Study) -> Universe:
    return Universe(panel.figure, "", study, None, {}, (), {}, {}, False, True)


def _orders(panel: Panel, study: Study) -> list[list[str]]:
    """A line for each order that a claim of the figure states: whether it holds at each rate, and each at its best."""
    claims = [claim for claim in load_claims() if claim.relations]
    at_rates = judge(_universe(panel, study), claims)
    at_best = judge(_universe(panel, study), claims, best_rates)
    middle = f"{KEY}={study.grid[KEY][len(study.grid[KEY]) // 2]:.4g}"
    lines = []
    for claim in claims:
        found = [result for result in at_rates if result.claim == claim.id]
        found += [r for r in at_best if r.claim == claim.id and r.reading.values == middle]
        if any(result.holds != OPEN for result in found):
            order = ", ".join(str(relation) for relation in claim.relations)
            lines.append([panel.name, claim.id, order, *map(_cell, found)])
    return lines


def best_rates(study: StudySpec) -> list[table.Row]:
    """The rows of each variant at its best rate, as if they were at the middle one; none of a variant whose runs have
    not all ended."""
    middle = str(study.grid[KEY][len(study.grid[KEY]) // 2])
    return [{**row, KEY: middle} for rate, rows in _best(study).values() for row in rows[rate]]


def _best(study: StudySpec) -> dict[str, tuple[str, dict[str, list[table.Row]]]]:
    """Variant -> its best rate, and its rows by rate, of variants whose runs have all ended."""
    ended = [row for row in table.read_paper(study) if row["status"] in table.ENDED]
    best = {}
    for variant in study.variants:
        ours = {
            str(rate): [r for r in ended if (r["variant"], r[KEY]) == (variant, str(rate))] for rate in study.grid[KEY]
        }
        if all(len(rows) == len(study.seeds) for rows in ours.values()):
            best[variant] = min(ours, key=lambda rate: _rank(study, ours[rate])), ours
    return best


def _rank(study: StudySpec, rows: list[table.Row]) -> float:
    """Small for a good rate: the mean of the study's metric, with lost runs as infinity."""
    sign, metric = 1 if study.direction == "minimize" else -1, study.metrics[0]
    return float(np.mean([sign * float(row[metric]) if row["status"] == "finished" else np.inf for row in rows]))


def _at_the_edge(panel: Panel, study: StudySpec) -> str:
    """How many methods are best at an end of the range, of those that are not alike at all rates."""
    best, (low, _, high) = _best(study), map(str, study.grid[KEY])
    differ = [rate for rate, ours in best.values() if len({_rank(study, rows) for rows in ours.values()}) > 1]
    edge = sum(rate in (low, high) for rate in differ)
    return f"{edge} of {len(differ)} methods of {panel.name}" if edge else ""


def _cell(result: ReadingResult) -> str:
    """ "holds (0.1 and 0.2)"; "alike (5 and 5)" where the methods that an order compares ended alike."""
    if result.holds == OPEN:
        return ""
    pairs = [pair.split(" and ") for pair in result.observed.split("; ")]
    alike = result.holds == NO and all(len(pair) == 2 and pair[0] == pair[1] for pair in pairs)
    return f"{ALIKE if alike else WORDS[result.holds]} ({result.observed})"


def _short(lines: list[list[str]], edges: list[str]) -> str:
    ended = [line for line in lines if all(line[3:])]
    alike = [line[1] for line in ended if all(cell.startswith(ALIKE) for cell in line[3:])]
    known = [line for line in ended if line[1] not in alike]
    if not known:
        return "Not known yet: runs are missing."
    panels = [text for panel in PANELS if (text := _of_panel([line for line in known if line[0] == panel.name]))]
    text = "Networks and trainings are small. Orders that hold at every rate, and with each method at its best: "
    text += f"{', '.join(panels)}."
    if alike:
        text += f" In {', '.join(alike)} the methods end alike: the training is too short."
    return text + (
        f" Best at an end of the range are {', '.join(edges)}: better rates may lie outside." if edges else ""
    )


def _of_panel(lines: list[list[str]]) -> str:
    """Of how many orders of a panel the learning rate does not matter."""
    if not lines:
        return ""
    holds = [[cell.startswith("holds") for cell in line[3:]] for line in lines]
    always, never = sum(map(all, holds)), sum(not any(cells) for cells in holds)
    none = f" ({never} at none)" if never else ""
    return f"{always} of {len(lines)} of {lines[0][0]}{none}"


def _draw(figure: Figure, studies: Studies) -> None:
    margins: dict[str, Any] = {"left": 0.5, "right": 1.3, "top": 0.3, "bottom": 0.4, "between": (1.85, 0.6)}
    for axes, panel in zip(style.grid(figure, 2, 2, **margins).flat, PANELS, strict=True):
        study, rows = studies[panel.name]
        axes.set_title(f"{panel.name}: {len(rows)} of {study.size} runs", loc="left", pad=3)
        if rows.empty:
            style.missing(axes, "not run")
            continue
        ends = _lines(axes, study, rows)
        rates = [float(rate) for rate in study.grid[KEY]]
        axes.set(xscale="log", xlim=(rates[0] / 1.2, rates[-1] * 1.2), xlabel="learning rate", ylabel=panel.axis)
        axes.set_xticks(rates, [f"{rate:.2g}" for rate in rates])
        axes.minorticks_off()
        if panel.log:
            axes.set_yscale("log")
            style.plain_log(axes.yaxis)
        else:
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        if study.metrics[0] == CENSORED:
            axes.set_ylim(top=2.5 * axes.get_ylim()[1])  # room for the names of curves that all end at the top
        style.label_ends(axes, ends, {}, gap=0.1)


def _lines(axes: Axes, study: Study, rows: pd.DataFrame) -> dict[str, style.End]:
    """One line a method; where they end."""
    from repro.runs.registry import get_task

    ends, metric = {}, study.metrics[0]
    for variant in study.variants:
        ours, colour = rows[rows.variant == variant], style.COLOURS[variant]
        points = []
        for rate in study.grid[KEY]:
            group = ours[np.isclose(ours[KEY], float(rate))]
            finished = group[group.status == "finished"]
            if finished.empty:
                points.append((float(rate), np.nan, False))  # a gap in the line
            else:
                values = finished[metric].to_numpy(dtype=float)
                open_ends = times(finished)[1] if metric == CENSORED else np.zeros(len(values), bool)
                axes.scatter(np.full(sum(~open_ends), rate), values[~open_ends], s=4, color=colour, alpha=0.5, lw=0)
                axes.scatter(np.full(sum(open_ends), rate), values[open_ends], s=9, **GIVEN_UP, edgecolor=colour)
                points.append((float(rate), *_middle(metric, group, values)))
        if any(np.isfinite(middle) for _, middle, _ in points):
            at, middle, open_ = (np.array(column) for column in zip(*points, strict=True))
            axes.plot(at, middle, color=colour)
            axes.plot(at[open_], middle[open_], ls="", marker="o", ms=4, mfc="white", mec=colour)
            last = float(middle[np.isfinite(middle)][-1])
            ends[_label(get_task(study.task).variants[variant].label)] = style.End(last, colour)
    return ends


def _middle(metric: str, group: pd.DataFrame, values: np.ndarray) -> tuple[float, bool]:
    """The mean, or the Kaplan-Meier median; whether that is not reached and the last iteration stands for it."""
    if metric != CENSORED:
        return float(values.mean()), False
    middle = median(*times(group))
    return (middle, False) if np.isfinite(middle) else (float(values.max()), True)


def _label(label: str) -> str:
    return (
        label.replace("truncated", "trunc.")
        .replace("eligibility ", "")
        .replace("synthetic gradients", "synth. grad.")
        .replace(", 20 steps, two", ", two")
    )
