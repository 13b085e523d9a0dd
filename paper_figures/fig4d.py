"""Figure 4d: a stretch of text, and a trained network's probability of each next word (task 3.2)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from paper_figures import style
from paper_figures.fig4c import EXAMPLE, example_of
from paper_figures.table import Table
from repro.text import format_number

PAPERS_DATA = "Penn Treebank"
LETTERS, DIGITS = 6.6, style.SMALL  # points: words, and the probabilities below them
ADVANCE = 1233 / 2048  # of a letter of DejaVu Sans Mono, as a share of its size
LONGEST = 24  # letters of a word that are shown
LINE, BOX, GAP = 0.31, 0.265, 0.03  # inches: from line to line, a word's box, between boxes
FOOT = 0.25  # inches: the key below the words
LEAST, FULL = 1e-4, 0.7  # the probability that is drawn white, and the opacity of certainty
LEFT, RIGHT, TOP = 0.24, 0.1, 0.52  # inches


def source_of(table: Table) -> str:
    """The name of the text."""
    return table.source or PAPERS_DATA


def panel_d(figure: style.Panel, table: Table) -> None:
    """Words in boxes, darker for higher probability; the probability below in per cent; one seed."""
    style.head(figure, "d", "Probability of each word (%)")
    variant = example_of(table, "perplexity", "min")
    if not variant:
        style.note(figure, source_of(table))
        style.missing(style.grid(figure, 1, 1, left=0.3, right=0.3, top=0.75, bottom=0.38)[0, 0], "no run finished")
        return
    record, arrays = table.example(variant, "example_words", "example_probability")
    words, probability = [str(word) for word in arrays["example_words"]], arrays["example_probability"].astype(float)
    label, colour = table.task.variants[variant].label, style.COLOURS[variant]
    style.note(figure, f"{source_of(table)}; {label}, seed {record.seed}{_instead(table, variant)}")
    axes = style.grid(figure, 1, 1, left=LEFT, right=RIGHT, top=TOP, bottom=0.06)[0, 0]
    width, height = axes.bbox.width / axes.figure.dpi, axes.bbox.height / axes.figure.dpi
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    numbers = ["", *(percent(p) for p in probability)]
    boxes = flow([_shown(word) for word in words], numbers, width, height - FOOT)
    for (x, y, wide), word, number, p in zip(boxes, words, numbers, [np.nan, *probability], strict=False):
        _word(axes, x, y, wide, _shown(word), number, p, colour)
    mean = float(np.exp(-np.log(probability[: len(boxes) - 1]).mean())) if len(boxes) > 1 else np.nan
    after = f"after {record.metrics['epochs']:.0f} epochs; perplexity\nof these words: {format_number(mean)}"
    axes.text(0, height, after, color=style.GREY, fontsize=style.SMALL, va="bottom")
    _key(axes, width, height, colour)


def _instead(table: Table, variant: str) -> str:
    """Why another variant is shown than that of the paper's panel."""
    if variant == EXAMPLE:
        return ""
    came = table.with_unfinished().progress(EXAMPLE).removesuffix(" iterations")
    why = f"has done {came} epochs" if came else table.absence(EXAMPLE)
    return f"\n(lowest perplexity; {table.task.variants[EXAMPLE].label}, the paper's: {why})"


def _shown(word: str) -> str:
    return word if len(word) <= LONGEST else f"{word[: LONGEST - 1]}…"


def percent(probability: float) -> str:
    """Two digits of a probability in per cent, without the sign: "34", "0.51", "<0.01"."""
    if probability < LEAST:
        return "<0.01"
    return f"{100 * probability:.0f}" if probability >= 0.0995 else f"{100 * probability:.2g}"


def flow(words: list[str], numbers: list[str], width: float, height: float) -> list[tuple[float, float, float]]:
    """Where words go, line after line in a space of this size: left, top and width of a box each, in inches, as many as
    there is room for."""
    boxes: list[tuple[float, float, float]] = []
    x = y = 0.0
    for word, number in zip(words, numbers, strict=True):
        wide = ADVANCE * max(LETTERS * len(word), DIGITS * len(number)) / 72 + 0.06
        if x and x + wide > width:
            x, y = 0.0, y + LINE
        if y + BOX > height:
            break
        boxes.append((x, y, wide))
        x += wide + GAP
    return boxes


def shade(probability: float, colour: str) -> tuple[float, ...]:
    """White for `LEAST` and less, up to `FULL` of a colour for certainty, by the logarithm."""
    share = FULL * (1 - np.log(max(probability, LEAST)) / np.log(LEAST))
    return tuple(float(1 - share * (1 - c)) for c in to_rgb(colour))


def _word(axes: Axes, x: float, y: float, wide: float, word: str, number: str, probability: float, colour: str) -> None:
    """One box; the first word is not predicted and has none."""
    mono: dict[str, Any] = {"family": ["DejaVu Sans Mono"], "ha": "center", "parse_math": False}
    if number:
        axes.fill([x, x + wide, x + wide, x], [y, y, y + BOX, y + BOX], color=shade(probability, colour), ec=style.PALE,
                  lw=0.4)  # fmt: skip
    ink = _legible(shade(probability, colour)) if number else style.GREY
    axes.text(x + wide / 2, y + 0.118, word, fontsize=LETTERS, color=ink, va="baseline", **mono)
    axes.text(x + wide / 2, y + 0.232, number, fontsize=DIGITS, color=ink, va="baseline", **mono)


def _legible(ground: Any) -> str:
    """The colour of letters on a box."""
    red, green, blue = to_rgb(ground)
    return style.INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"


def _key(axes: Axes, width: float, height: float, colour: str) -> None:
    """What the shades mean, at the foot."""
    swatches = (LEAST, 1e-3, 1e-2, 1e-1, 1.0)
    for place, p in enumerate(swatches):
        left = width - 0.29 * (len(swatches) - place)
        axes.fill_between([left, left + 0.29], height - 0.1, height, color=shade(p, colour), ec=style.PALE, lw=0.4)
        text = f"{100 * p:g}" + " %" * (p == 1)
        place_of: dict[str, Any] = {"fontsize": style.SMALL, "color": style.GREY, "ha": "center", "va": "bottom"}
        axes.text(left + 0.145, height - 0.12, text, **place_of)
