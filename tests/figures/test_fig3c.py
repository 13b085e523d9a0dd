"""The arm of panel 3c, and the names of its points."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from paper_figures import fig3c
from paper_figures.table import gather
from tasks.arm_reaching.config import TASK
from tests.figures.synthetic_arm import write_runs
from tests.figures.test_fig3 import axes_of, ys


def test_3c_shows_the_arm_of_the_record(tmp_path):
    write_runs(tmp_path, seeds=(4,), variants=["e_prop_2_spiking"])
    records = gather(TASK, tmp_path)
    _, arrays = records.example("e_prop_2_spiking", "example_target", "example_target_elbow")
    target, elbow = arrays["example_target"], arrays["example_target_elbow"]
    arm = axes_of(fig3c.panel_c, records, fig3c.HEIGHT)[0]
    links = [np.asarray(line.get_xydata()) for line in arm.lines if len(ys(line)) == 3]
    assert len(links) == fig3c.POSTURES + 1
    assert np.allclose(links[-1], [[0, 0], elbow[0], target[0]])  # drawn last: the arm at the start
    assert not np.allclose(links[0], links[-1])
    for shoulder, joint, tip in links:
        assert np.hypot(*(joint - shoulder)) == pytest.approx(0.5) == np.hypot(*(tip - joint))
    assert np.allclose(arm.lines[-1].get_xydata(), target)
    labels = [text.get_text() for text in arm.texts]
    assert labels == ["shoulder φ₁", "elbow φ₂", "0 ms", f"{len(target)} ms"]


def test_one_scale_for_both_coordinates_and_all_points_inside():
    axes = Figure(figsize=(6, 2)).subplots()
    points = np.array([[0.1, -0.9], [0.3, 0.8], [0.2, 0.1]])
    fig3c.plane(axes, points)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert (right - left) / axes.bbox.width == pytest.approx((top - bottom) / axes.bbox.height)
    assert left < 0.1 and right > 0.3 and bottom < -0.9 and top > 0.8
    assert right - left > 3 * (top - bottom) / 2  # the box is wide, and so is what it shows


def test_names_of_an_arm_stand_clear_of_it():
    axes = Figure(figsize=(2, 2)).subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    limb = np.linspace((0.1, 0.5), (0.9, 0.5), 60)
    fig3c.name_points(axes, {"elbow": np.array([0.5, 0.5]), "tip": np.array([0.52, 0.5])}, limb)
    boxes = [text.get_window_extent() for text in axes.texts]
    drawn = axes.transData.transform(limb)
    assert not any(box.contains(*point) for box in boxes for point in drawn)
    assert not boxes[0].overlaps(boxes[1])
