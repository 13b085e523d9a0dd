from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import paper_figures
from paper_figures import fig3c, fig3d, fig3e, style
from paper_figures.sheet import KINDS
from paper_figures.table import Table, gather
from repro.errors import UserError
from repro.records.frames import load
from repro.records.store import run_folder
from tasks.arm_reaching.config import TASK
from tests.figures import synthetic_arm
from tests.figures.drawing import diamonds, points
from tests.figures.synthetic_arm import AT_REST, TYPICAL, write_runs
from tests.figures.test_fig1 import texts

STAMP = "not the paper's size (quick)"
LABELS = [variant.label for variant in TASK.variants.values()]
Draw = Callable[..., list[str]]


@pytest.fixture
def words(tmp_path: Path) -> Draw:
    """The words of a panel, drawn from records with these settings."""

    def draw(panel: str, *made: dict) -> list[str]:
        where = tmp_path / f"records{len(list(tmp_path.iterdir()))}"
        for settings in made:
            write_runs(where, **settings)
        return texts(paper_figures.draw("fig3", where, [panel], tmp_path / "out")[0].read_bytes())

    return draw


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Three seeds of every variant at `quick`."""
    write_runs(tmp_path / "table")
    return gather(TASK, tmp_path / "table")


def axes_of(draw: Callable[[style.Panel, Table], None], table: Table, height: float = 2.75) -> list[Axes]:
    figure = Figure(figsize=(style.WIDTH, height))
    draw(figure, table)
    return figure.axes


def ys(line: Any) -> np.ndarray:
    return np.asarray(line.get_ydata())


def test_the_whole_figure_has_every_panel(tmp_path):
    write_runs(tmp_path / "records", seeds=(0,), profile="smoke")
    files = paper_figures.draw("fig3", tmp_path / "records", None, tmp_path / "out")
    stems = ("fig3c", "fig3d", "fig3e", "fig3")
    assert [path.name for path in files] == [f"{stem}.{kind}" for stem in stems for kind in KINDS]
    found = texts((tmp_path / "out" / "fig3.svg").read_bytes())
    assert found.count("not the paper's size (smoke)") == 3 and {"c", "d", "e"} < set(found)


def test_numbers_are_means_of_the_records(words, tmp_path):
    found = words("3e", {})
    runs = load(next(tmp_path.glob("records*")), TASK.name)
    for variant, seeds in runs.groupby("variant"):
        assert f"{seeds.test_mse.mean():#.3g}" in found and f"{seeds.training_mse.mean():#.3g}" in found
        assert TASK.variants[str(variant)].label in found  # at the end of its curve
    assert f"{runs.test_mse.mean():#.3g}" not in found
    assert "Error of the tip after one update: mean of 3 seeds, 95 % interval" in found and STAMP in found


def test_smaller_runs_name_the_paper_s_value_and_do_not_meet_it(words, table):
    found = words("3e", {})
    assert "paper (full size): 0.005" in found and "paper" not in found
    lines = [line for line in axes_of(fig3e._curves, table)[0].lines if np.allclose(ys(line), 0.005)]
    assert [line.get_color() for line in lines] == [style.PALE]
    assert not diamonds(axes_of(fig3e._final, table)[0])


def test_runs_of_the_paper_s_size_meet_it(words, tmp_path):
    found = words("3e", {"profile": "paper", "seeds": (0,)})
    assert {"paper: 0.005", "paper", "0.005"} < set(found)
    assert not any("size" in word or "not as printed" in word for word in found)
    records = gather(TASK, next(tmp_path.glob("records*")))
    lines = [line for line in axes_of(fig3e._curves, records)[0].lines if np.allclose(ys(line), 0.005)]
    assert [line.get_color() for line in lines] == [style.INK]
    assert diamonds(axes_of(fig3e._final, records)[0]) == [0.005]


def test_the_outer_loss_is_printed_from_the_record(words):
    quick, paper = TASK.resolve("e_prop_2_spiking", "quick"), TASK.config()
    text = " ".join(words("3e", {"seeds": (0,)}))
    assert "outer loss, not as printed: mean squared error of the tip + " in text
    assert quick.rate_loss == "mean_hz" and quick.rate_loss not in text
    values = (f"{quick.motor_weight:g} × that of the velocities", f"{quick.rate_cost:g} × that of firing rates")
    for value in (*values, "(mean over neurons, in Hz)", f"{quick.batch_size} movements a batch"):
        assert value in text
    printed = fig3e.outer_loss(vars(paper))
    assert printed.startswith(
        "outer loss: summed squared error of the tip + 1 × that of the velocities + 0.25 × that of"
    )
    assert "ω is a frequency (Eq. 60); target as coordinates" in printed and "200 movements" in printed
    other = vars(TASK.resolve("e_prop_2_spiking", "paper", {"omega_reading": "period", "target_input": "population"}))
    assert "ω is a period (Eq. 60); target as spikes" in fig3e.outer_loss(other)


def test_windows_hold_every_iteration_once_and_grow():
    curves = np.random.default_rng(0).random((3, 600))
    first, means = fig3e.windows(curves)
    width = np.diff(first)
    assert (first[0], first[-1], width.min()) == (1, 601, 1)
    assert np.average(means, axis=1, weights=width) == pytest.approx(curves.mean(1))
    assert means.mean(1) != pytest.approx(curves.mean(1), rel=1e-3)  # windows are not all as wide
    for k in (0, 20, len(width) - 1):
        assert means[:, k] == pytest.approx(curves[:, first[k] - 1 : first[k + 1] - 1].mean(1))
    growth = first[1:] / first[:-1]
    assert growth[-10:] == pytest.approx(fig3e.GROWTH, rel=0.02)
    assert fig3e.windows(curves[:, :1])[1].tolist() == curves[:, :1].tolist()


def test_curves_are_means_over_seeds_of_their_own_variant(table):
    axes = axes_of(fig3e._curves, table)[0]
    curves = table.curves("test_mse")
    for variant in TYPICAL:
        wanted = fig3e.windows(curves[variant])[1]
        drawn = [ys(line) for line in axes.lines if line.get_color() == style.COLOURS[variant]]
        assert any(len(y) == wanted.shape[1] and np.allclose(y, wanted.mean(0)) for y in drawn)
        assert not any(len(y) == wanted.shape[1] and np.allclose(y, wanted[0]) for y in drawn)
    (training,) = [line for line in axes.lines if line.is_dashed() and line.get_lw() == 0.6]
    assert np.allclose(ys(training), fig3e.windows(table.curves("training_mse")["e_prop_2_spiking"])[1].mean(0))
    assert [line.get_color() for line in axes.lines if np.allclose(ys(line), AT_REST)] == [style.GREY]
    assert axes.get_yscale() == axes.get_xscale() == "log"
    labels = {text.get_text() for text in axes.texts}
    assert {*LABELS, "arm at rest", "training trial (spiking)"} < labels


def test_a_point_is_the_test_error_and_a_ring_the_training_error():
    axes = Figure().subplots()
    fig3e.draw(axes, 2, np.array([0.01, 0.03]), np.array([0.2, 0.4]), style.COLOURS["e_prop_2_linear"])
    fig3e.draw(axes, 3, np.array([]), np.array([]), style.COLOURS["e_prop_2_linear"])
    ((value, row, hollow),) = points(axes)
    assert value == pytest.approx(0.02) and (row, hollow) == (2, False)
    rings = [np.asarray(line.get_xydata())[0].tolist() for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert rings == [[pytest.approx(0.3), 2]]


def test_bands_are_of_seeds_and_one_seed_has_none(table, tmp_path):
    bands = axes_of(fig3e._curves, table)[0].collections
    assert len(bands) == len(TYPICAL)
    write_runs(tmp_path / "one", seeds=(0,))
    alone = axes_of(fig3e._curves, gather(TASK, tmp_path / "one"))[0].collections
    assert all(_flat(band) for band in alone) and not any(_flat(band) for band in bands)


def _flat(band: Any) -> bool:
    """Whether a band has no width anywhere."""
    (path,) = band.get_paths()
    heights: dict[float, set[float]] = {}
    for x, y in np.asarray(path.vertices):
        heights.setdefault(float(x), set()).add(float(y))
    return all(len(there) == 1 for there in heights.values())


def test_3d_shows_both_trials_with_their_own_errors(words, tmp_path):
    found = " ".join(words("3d", {"seeds": (2, 4)}))
    names = [f"example_{name}" for name in fig3d.NAMES]
    records = gather(TASK, next(tmp_path.glob("records*")))
    _, arrays = records.example("e_prop_2_spiking", *names)
    error = np.square(arrays["example_tip"] - arrays["example_target"]).mean((1, 2))
    assert error[1] < error[0] / 2
    assert "A new movement, spiking error module, seed 2" in found
    for name, mse in zip(fig3d.TRIALS, error, strict=True):
        assert f"{name}: mse {mse:.2g}" in found
    for row in ("40 of 400", "40 of 300", "joint 1", "joint 2", "(rad/s)", "learning", "time (ms)"):
        assert row in found
    for spikes in (arrays["example_spikes"], arrays["example_module_spikes"]):
        assert all(f"{1000 * trial.mean():.0f} Hz" in found for trial in spikes)


def test_3d_draws_what_was_recorded_and_both_trials_to_one_scale(table):
    axes = axes_of(fig3d.panel_d, table, fig3c.HEIGHT)
    _, arrays = table.example("e_prop_2_spiking", *(f"example_{name}" for name in fig3d.NAMES))
    planes, rows = axes[:2], np.array(axes[2:]).reshape(5, 2)
    for trial in range(2):
        assert np.allclose(planes[trial].lines[0].get_xydata(), arrays["example_tip"][trial])
        assert np.allclose(planes[trial].lines[1].get_xydata(), arrays["example_target"])
        for joint in range(2):
            drawn, wanted = (ys(line) for line in rows[joint, trial].lines)
            assert np.allclose(drawn, arrays["example_velocities"][trial, :, joint])
            assert np.allclose(wanted, arrays["example_target_velocities"][:, joint])
        assert np.allclose([ys(line) for line in rows[4, trial].lines], arrays["example_signals"][trial].T)
        ticks = len(rows[3, trial].collections[0].get_segments())
        assert ticks == arrays["example_module_spikes"][trial].sum()
    assert not np.allclose(planes[0].lines[0].get_xydata(), planes[1].lines[0].get_xydata())
    assert rows[4, 0].get_ylim() == rows[4, 1].get_ylim()
    assert planes[0].get_xlim() == pytest.approx(planes[1].get_xlim())


def test_what_was_not_run_or_failed_is_drawn_as_missing(words):
    smoke = {"profile": "smoke"}
    made = smoke | {"variants": ["no_inner_update"]}, smoke | {"variants": ["e_prop_2_linear"], "failed": True}
    found = words("3e", *made)
    assert found.count("not run") == 2 and found.count("failed") == 1  # beside the bars
    assert found.count("not run:") == found.count("failed:") == 1 and {"0 of 3", "3"} < set(found)
    assert "training trial (spiking)" not in found and "arm at rest" in found
    for panel in ("3c", "3d"):
        text = " ".join(words(panel, *made))
        assert "spiking error module:" in text and "not run" in text
        assert "not run" not in " ".join(words(panel, smoke))
    broken = words("3e", smoke | {"failed": True})
    assert broken.count("failed") == 4 and "no run finished" in broken
    assert not any("outer loss" in word for word in broken)


@pytest.mark.parametrize(("panel", "lost"), [("3c", "target_elbow"), ("3d", "signals"), ("3d", "module_spikes")])
def test_a_record_without_the_arrays_says_so(panel, lost, tmp_path, monkeypatch):
    make = synthetic_arm.make_example

    def less(*given: Any) -> dict[str, np.ndarray]:
        return {name: x for name, x in make(*given).items() if name != f"example_{lost}"}

    monkeypatch.setattr(synthetic_arm, "make_example", less)
    write_runs(tmp_path / "records", seeds=(0,))
    with pytest.raises(UserError, match=f"has no array example_{lost}; train that run again"):
        paper_figures.draw("fig3", tmp_path / "records", [panel], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    paper_figures.draw("fig3", tmp_path / "records", ["3e"], tmp_path / "out")  # which does not want it


def test_truncated_arrays_are_named(tmp_path):
    write_runs(tmp_path / "records", seeds=(0,))
    config_hash = load(tmp_path / "records", TASK.name).set_index("variant").config_hash["e_prop_2_spiking"]
    path = run_folder(TASK.name, "e_prop_2_spiking", config_hash, 0, tmp_path / "records") / "arrays.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError) as caught:
        paper_figures.draw("fig3", tmp_path / "records", ["3d"], tmp_path / "out")
    assert str(path) in str(caught.value) and not (tmp_path / "out").exists()
