"""The map of Eq. 10, drawn from records that no network made."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import paper_figures
from paper_figures import style, theory
from paper_figures.sheet import KINDS
from paper_figures.table import gather
from repro.errors import UserError
from tasks.theory.config import TASK
from tests.figures.synthetic import write
from tests.figures.test_fig1 import texts

EXPLAINED = np.array([0, 0.25, 0.5, 0.75, 1])
SHAPE = (5, 3, 5, 7)  # explained, window, memory, coupling


def ratio(kind: str, seed: int) -> np.ndarray:
    """Below 1 on the left and above it on the right, more so with noise; the same in no two cells."""
    slope = np.geomspace(0.1, 4, SHAPE[3]) ** (0.5 + EXPLAINED[:, None, None, None])
    jitter = np.random.default_rng([seed, *kind.encode()]).normal(size=SHAPE)
    return np.asarray(slope * np.exp(0.1 * jitter))


def write_runs(where: Path, seeds: Iterable[int] = (0, 1), profile: str = "paper", without: str = "") -> None:
    """One record a seed, as a run of `profile` would write it."""
    for seed in seeds:
        arrays = {f"{kind}_ratio": ratio(kind, seed) for kind in ("rate", "lstm")} | {
            "explained": EXPLAINED,
            "window": np.array([1.0, 4, 16]),
            "memory": np.geomspace(2, 32, 5),
            "coupling": np.geomspace(0.0625, 4, 7),
        }
        arrays.pop(without, None)
        write(TASK, where, "measured", profile, seed, TASK.resolve("measured", profile), {"eq1": 1e-16}, arrays)


def maps(where: Path) -> list[Axes]:
    """The maps of the panel: three columns of each block, row by row, then the next block; last the colours."""
    figure = Figure(figsize=(style.WIDTH, 3.5))
    theory.panel_10(figure, gather(TASK, where))
    return figure.axes


def test_one_sheet_and_no_panel_beside_it(tmp_path):
    write_runs(tmp_path / "records")
    files = paper_figures.draw("theory", tmp_path / "records", None, tmp_path / "out")
    assert [path.name for path in files] == [f"theory.{kind}" for kind in KINDS]
    found = texts(files[0].read_bytes())
    assert {"rate network, windows of", "LSTM, windows of", "memory (steps)", "e-prop 3", "worse", "better"} < set(
        found
    )
    assert found.count("4 steps") == 2 and sum("coupling (gain" in word for word in found) == 2
    assert any("a cell: " in word and "geometric mean of 2 seeds" in word for word in found) and not any(
        "size" in word for word in found
    )
    assert TASK.panels == theory.PANELS
    again = paper_figures.draw("theory", tmp_path / "records", ["10"], tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]


def test_smaller_measurements_are_stamped(tmp_path):
    write_runs(tmp_path / "records", seeds=(3,), profile="quick")
    (svg, *_) = paper_figures.draw("theory", tmp_path / "records", None, tmp_path / "out")
    found = texts(svg.read_bytes())
    assert "not the paper's size (quick)" in found and any("of one seed" in word for word in found)


def test_colours_are_the_mean_logarithm_of_their_own_cells(tmp_path):
    write_runs(tmp_path)
    drawn = [axes.images[0] for axes in maps(tmp_path)[:18]]
    cells = iter(drawn)
    for kind in ("rate", "lstm"):
        both = np.log2([ratio(kind, seed) for seed in (0, 1)])
        for level in (0, 2, 4):
            for window in range(3):
                values = np.asarray(next(cells).get_array())
                assert np.allclose(values, both[:, level, window].mean(0))
                assert not np.allclose(values, both[0, level, window])
    assert {image.get_clim() for image in drawn} == {(-2, 2)} and drawn[0].origin == "lower"
    blue, red = drawn[0].cmap(0.1), drawn[0].cmap(0.9)
    assert blue[2] > blue[0] and red[0] > red[2]  # blue where e-prop 3 is nearer


def test_the_share_is_of_cells_and_seeds(tmp_path):
    write_runs(tmp_path)
    axes = maps(tmp_path)
    for place, (kind, level, window) in {0: ("rate", 0, 0), 17: ("lstm", 4, 2)}.items():
        both = np.array([ratio(kind, seed)[level, window] for seed in (0, 1)])
        assert [text.get_text() for text in axes[place].texts if "≤" in text.get_text()] == [
            f"≤ 1 in {100 * np.mean(both <= 1):.0f} %"
        ]


@pytest.mark.parametrize(
    ("explained", "says"),
    [(0, "synthetic gradients: zero"), (0.5, "explain 50 % of the variance"), (1, "unbiased, noisy")],
)
def test_rows_say_what_the_synthetic_gradients_are(explained, says):
    assert theory.quality(explained).replace("\n", " ") == says


def test_a_record_without_a_map_says_so(tmp_path):
    write_runs(tmp_path / "records", without="lstm_ratio")
    with pytest.raises(UserError, match="has no array lstm_ratio; train that run again"):
        paper_figures.draw("theory", tmp_path / "records", None, tmp_path / "out")
    assert not (tmp_path / "out").exists()
