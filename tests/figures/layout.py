"""What is wrong with the letters of a figure: too small, outside the page, on top of other letters."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from paper_figures import style

SMALLEST = 6.5  # points, at the width of a journal
SLACK = 0.22  # of a line's height: letters rarely fill their box


@contextmanager
def figures() -> Iterator[list[Figure]]:
    """The figures that are drawn meanwhile, in place of their files."""
    drawn: list[Figure] = []

    def keep(figure: Figure, *_: Any) -> dict[str, bytes]:
        drawn.append(figure)
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "render", keep)
        yield drawn


def faults(figure: Figure) -> list[str]:
    """A line a fault; none for a figure that is fit to print."""
    boxes = [(text.get_text(), float(text.get_fontsize()), _box(text)) for text in _drawn(figure)]
    small = [f"{name!r} has {size:g} points" for name, size, _ in boxes if size < SMALLEST]
    page = figure.bbox.padded(1)
    clipped = [f"{name!r} leaves the page" for name, _, box in boxes if not _holds(page, box)]
    pairs = [
        f"{a!r} covers {b!r}" for (a, _, one), (b, _, other) in combinations(boxes, 2) if Bbox.intersection(one, other)
    ]
    return small + clipped + pairs


def _drawn(figure: Figure) -> list[Text]:
    """The texts that reach the page, each once: no ticks beyond an axis."""
    canvas, found = FigureCanvasAgg(figure), {}

    def note(renderer: RendererAgg, *args: Any, mtext: Text | None = None, **more: Any) -> None:
        if mtext is not None:
            found[id(mtext)] = mtext

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RendererAgg, "draw_text", note)
        canvas.draw()
    return list(found.values())


def _box(text: Text) -> Bbox:
    """Where the letters of a text are, a little smaller than the box around its lines."""
    box = Text.get_window_extent(text)  # without the arrow of an annotation
    slack = SLACK * float(text.get_fontsize()) * text.figure.dpi / 72
    return Bbox.from_extents(box.x0 + 1, box.y0 + slack, box.x1 - 1, box.y1 - slack)


def _holds(page: Bbox, box: Bbox) -> bool:
    return bool(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1)
