"""A figure's claims in all readings of the text as a map: one row a reading, one column a claim."""

from collections.abc import Collection, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from repro.claims.claim import PaperClaim
from repro.claims.multiverse import CHOSEN, CONTROL, LITERAL, NO, OPEN, YES, ReadingResult
from repro.drawing import INK, WARNING, WIDTH, grid, render, theme

COLOURS = {YES: "#2c7fb8", NO: "#f4d9c6", OPEN: "#f2f2f2"}
WORDS = {YES: "holds", NO: "does not hold", OPEN: "unfinished"}
ROW, HEAD, FOOT, LEFT = 0.105, 1.35, 0.1, 4.2  # inches: height of a row, margins


def draw(figure: str, claims: Sequence[PaperClaim], results: Sequence[ReadingResult]) -> dict[str, bytes]:
    """The map of a figure as NAME -> bytes, SVG and PNG; nothing where no run has ended."""
    if all(result.holds == OPEN for result in results):
        return {}
    with theme():
        return render(_map(figure, claims, results), f"readings_{figure}")


def _map(figure: str, claims: Sequence[PaperClaim], results: Sequence[ReadingResult]) -> Figure:
    order = [claim.id for claim in claims]
    cells = {_place(result, results): result for result in results}
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = sorted({column for _, column in cells}, key=lambda column: (order.index(column[0]), column[1]))
    roles: dict[str, set[str]] = {row: set() for row in rows}
    drawn = Figure(figsize=(WIDTH, HEAD + FOOT + ROW * len(rows)))
    axes = grid(drawn, 1, 1, left=LEFT, right=0.1, top=HEAD, bottom=FOOT)[0, 0]
    for (row, column), result in cells.items():
        roles[row] |= {*result.reading.roles}
        corner = columns.index(column) - 0.5, rows.index(row) - 0.5
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=COLOURS[result.holds], edgecolor="white", linewidth=0.5))
    for y, row in enumerate(rows):
        _name(axes, y, row, roles[row], len(columns))
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5), yticks=[])
    heads = [f"{claim}, {name}" if name else claim for claim, name in columns]
    axes.set_xticks(range(len(columns)), heads, rotation=60, ha="left", rotation_mode="anchor", fontsize=5.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _legend(drawn, f"{figure}: claims in the readings of the text, three seeds each")
    return drawn


def _place(result: ReadingResult, results: Sequence[ReadingResult]) -> tuple[str, tuple[str, str]]:
    """The row and the column of a result. Readings that differ from others by their name alone are in the same row as
    these, in a column of their own."""
    reading = result.reading
    beside = any(other.reading.values == reading.values and not other.reading.name for other in results)
    return (reading.values, (result.claim, reading.name)) if beside else (str(reading), (result.claim, ""))


def _legend(drawn: Figure, title: str) -> None:
    height = drawn.get_figheight()
    drawn.text(0.06 / WIDTH, 1 - 0.16 / height, title)
    handles = [Patch(facecolor=COLOURS[key], edgecolor=INK, linewidth=0.3, label=word) for key, word in WORDS.items()]
    corner = (0.06 / WIDTH, 1 - 0.24 / height)
    drawn.legend(handles=handles, loc="upper left", bbox_to_anchor=corner, borderaxespad=0.0, frameon=False, fontsize=6)


def _name(axes: Axes, y: int, reading: str, roles: Collection[str], columns: int) -> None:
    """A reading's name at the left of its row; the chosen one framed, roles in front of the name."""
    marked = [word for word in (CHOSEN, LITERAL, CONTROL) if word in roles]
    text = (f"{', '.join(marked)} — " if marked else "") + reading
    axes.annotate(
        text, (-0.5, y), (-4, 0), "data", "offset points", ha="right", va="center", fontsize=4.6,
        color=WARNING if marked else INK,
    )  # fmt: skip
    if CHOSEN in roles:
        frame = Rectangle((-0.5, y - 0.5), columns, 1, fill=False, edgecolor=WARNING, linewidth=0.9, zorder=3)
        axes.add_patch(frame)
