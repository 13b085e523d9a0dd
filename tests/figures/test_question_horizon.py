"""Question 2 where no run was trained as long as it asks."""

import numpy as np
from matplotlib.figure import Figure

from paper_figures.questions import horizon


def given_up_at_500(lost: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Of 40 networks two solved the task, and 38 were given up at 500; after these the lost ones."""
    times = np.array([100.0, 300.0] + [500.0] * 38 + [np.inf] * lost)
    return times, times > 300


def test_no_share_is_stated_beyond_where_all_were_given_up() -> None:
    for lost in (0, 1):  # what is known of a lost network says nothing of those that were given up
        shares = [horizon.solved(given_up_at_500(lost), by) for by in horizon.HORIZONS]
        assert [round(found[0] * (40 + lost)) if found else None for found in shares] == [1, 2, None]
    text = horizon._short(dict.fromkeys(horizon.BARS, given_up_at_500()))
    assert "within 200 iterations, 5 % within 500. The text" in text and "2000" not in text
    assert [line[-1] for line in horizon._table(dict.fromkeys(horizon.BARS, given_up_at_500()))[1:]] == [""] * 4
    beyond = np.append(given_up_at_500()[0], 900.0), np.append(given_up_at_500()[1], True)
    assert horizon.solved(beyond, 900) and not horizon.solved(beyond, 901)
    assert "last share" not in horizon._short(dict.fromkeys(horizon.BARS, beyond))  # that by 2000 is not stated
    all_solved = np.array([100.0, 300.0]), np.zeros(2, bool)
    assert (horizon.solved(all_solved, 2000) or [None])[0] == 1  # control: nothing more can happen
    never = np.array([np.inf] * 3), np.ones(3, bool)
    assert (horizon.solved(never, 2000) or [None])[0] == 0


def test_curves_end_where_all_were_given_up() -> None:
    figure = Figure()
    horizon._draw(figure, {"lif_only_bptt": given_up_at_500(lost=1), "bptt": (np.zeros(0), np.zeros(0, bool))})
    (axes,) = figure.axes
    (line,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert np.asarray(line.get_xdata())[-1] == 500
    assert max(np.asarray(path.vertices)[:, 0].max() for band in axes.collections for path in band.get_paths()) == 500
