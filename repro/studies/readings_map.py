"""A figure's claims in all readings of the text as a map: one row a reading, one column a claim."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from repro.claims.claim import PaperClaim
from repro.claims.multiverse import CHOSEN, CONTROL, LITERAL, NO, OPEN, YES, ReadingResult
from repro.drawing import INK, WARNING, grid, render, theme

COLOURS = {YES: "#2c7fb8", NO: "#f4d9c6", OPEN: "#f2f2f2"}
WORDS = {YES: "holds", NO: "does not hold", OPEN: "unfinished"}
ROW, COLUMN, LETTER = 0.105, 0.26, 0.0375  # inches: height of a row, width of a column, of a letter of a row's name
HEAD, FOOT, RIGHT = 1.35, 0.1, 0.4


def draw(figure: str, claims: Sequence[PaperClaim], results: Sequence[ReadingResult]) -> dict[str, bytes]:
    """The map of a figure as NAME -> bytes, an SVG: its readings in which a claim is finished, and how many others.
    Nothing where there are none."""
    rows = {_place(result, results)[0] for result in results}
    known = {_place(result, results)[0] for result in results if result.holds != OPEN}
    if not known:
        return {}
    shown = [result for result in results if _place(result, results)[0] in known]
    finished = [claim for claim in claims if any(r.claim == claim.id and r.holds != OPEN for r in shown)]
    with theme():
        drawn = _map(figure, finished, [r for r in shown if r.claim in {c.id for c in finished}], len(rows - known))
        files = render(drawn, f"readings_{figure}")
    return {name: data for name, data in files.items() if name.endswith(".svg")}  # as PNG it has megabytes


def _map(figure: str, claims: Sequence[PaperClaim], results: Sequence[ReadingResult], hidden: int) -> Figure:
    order = [claim.id for claim in claims]
    cells = {_place(result, results): result for result in results}
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = sorted({column for _, column in cells}, key=lambda column: (order.index(column[0]), column[1]))
    names = {row: _name(row, [cells[key] for key in cells if key[0] == row]) for row in rows}
    left = 0.15 + LETTER * max(map(len, names.values()))
    width = left + RIGHT + max(COLUMN * len(columns), 2.0)
    drawn = Figure(figsize=(width, HEAD + FOOT + ROW * len(rows)))
    axes = grid(drawn, 1, 1, left=left, right=RIGHT, top=HEAD, bottom=FOOT)[0, 0]
    for (row, column), result in cells.items():
        corner, marked = (columns.index(column) - 0.5, rows.index(row) - 0.5), CHOSEN in result.reading.roles
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=COLOURS[result.holds], edgecolor="white", linewidth=0.5))
        axes.hlines([corner[1], corner[1] + 1] * marked, corner[0], corner[0] + 1, WARNING, linewidth=1.0, zorder=3)
    for y, row in enumerate(rows):
        ink = INK if names[row] == row else WARNING
        axes.annotate(
            names[row], (-0.5, y), (-4, 0), "data", "offset points", ha="right", va="center", fontsize=4.6, color=ink
        )
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5), yticks=[])
    heads = [f"{claim}, {name}" if name else claim for claim, name in columns]
    axes.set_xticks(range(len(columns)), heads, rotation=60, ha="left", rotation_mode="anchor", fontsize=5.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    more = f"; {hidden} more are unfinished" if hidden else ""
    _legend(drawn, f"{figure}: claims in the readings of the text, three seeds each{more}")
    return drawn


def _place(result: ReadingResult, results: Sequence[ReadingResult]) -> tuple[str, tuple[str, str]]:
    """The row and the column of a result. Readings that differ from others by their name alone are in the same row as
    these, in a column of their own."""
    reading = result.reading
    beside = reading.counts and any(
        other.reading.values == reading.values and not other.reading.name for other in results
    )
    return (reading.values, (result.claim, reading.name)) if beside else (str(reading), (result.claim, ""))


def _legend(drawn: Figure, title: str) -> None:
    height = drawn.get_figheight()
    drawn.text(0.06 / drawn.get_figwidth(), 1 - 0.16 / height, title)
    handles = [Patch(facecolor=COLOURS[key], edgecolor=INK, linewidth=0.3, label=word) for key, word in WORDS.items()]
    handles.append(Patch(facecolor="white", edgecolor=WARNING, linewidth=1.0, label="chosen"))
    corner = (0.06 / drawn.get_figwidth(), 1 - 0.24 / height)
    drawn.legend(handles=handles, loc="upper left", bbox_to_anchor=corner, borderaxespad=0.0, frameon=False, fontsize=6)


def _name(row: str, results: Sequence[ReadingResult]) -> str:
    """The name of a row: its roles, and its values."""
    roles = {role for result in results for role in result.reading.roles}
    marked = [word for word in (CHOSEN, LITERAL, CONTROL) if word in roles]
    return f"{', '.join(marked)} — {row}" if marked else row
