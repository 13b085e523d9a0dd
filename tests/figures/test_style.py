import itertools
import struct

import numpy as np
import pytest
from matplotlib.figure import Figure

from paper_figures import style
from paper_figures.table import mean_interval
from repro.runs.registry import get_task

# How deuteranopes, protanopes and tritanopes see linear RGB (Machado, Oliveira & Fernandes 2009, full severity).
SIGHTS = {
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def seen(colour: str, sight: str) -> np.ndarray:
    """CIE Lab of a colour as an eye sees it."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    x, y, z = TO_XYZ @ np.clip(SIGHTS[sight] @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colours: list[str], sight: str) -> float:
    return min(float(np.linalg.norm(seen(a, sight) - seen(b, sight))) for a, b in itertools.combinations(colours, 2))


def dots(png: bytes) -> tuple[int, ...]:
    """Width and height of a PNG, from its first chunk."""
    return struct.unpack(">II", png[16:24])


def test_users_get_300_dots_per_inch(fine: None) -> None:
    with style.theme():
        assert dots(style.render(Figure(figsize=(2, 1)), "empty")["empty.png"]) == (600, 300)


def test_tests_get_fewer() -> None:
    with style.theme():
        assert dots(style.render(Figure(figsize=(2, 1)), "empty")["empty.png"]) == (60, 30)


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_differ_for_every_kind_of_sight(sight):
    assert nearest(sorted(set(style.COLOURS.values())), sight) > 12  # about 2 is just noticeable


def test_a_red_and_a_green_would_not_be():
    assert nearest(["#d62728", "#7a6a00"], "deutan") < 12


def test_a_variant_without_a_colour_can_be_drawn():
    assert style.COLOURS["nobody has named it"] == style.COLOURS["nor this"]
    assert style.COLOURS["nobody has named it"] not in {
        style.COLOURS[name] for name in get_task("store_recall").variants
    }


def test_labels_move_until_they_do_not_overlap():
    assert style.spread([0.1, 0.5, 0.9], gap=0.1) == [0.1, 0.5, 0.9]
    moved = style.spread([0.50, 0.51, 0.52, 0.9], gap=0.1)
    assert np.diff(moved).min() == pytest.approx(0.1, abs=1e-3)
    assert np.mean(moved[:3]) == pytest.approx(0.51) and moved[3] == 0.9


def test_interval_of_a_mean_is_about_two_standard_errors():
    values = np.random.default_rng(1).normal(size=(400, 3)) * [1.0, 10.0, 100.0]
    low, high = mean_interval(values)
    spread = values.std(axis=0) / np.sqrt(len(values))
    assert (high - low) / (2 * spread) == pytest.approx([1.96] * 3, rel=0.1)
    assert (low + high) / 2 == pytest.approx(values.mean(axis=0), abs=0.2 * spread.max())


def test_interval_of_few_seeds_is_students_and_of_one_has_no_width():
    low, high = mean_interval(np.array([[1.0], [2.0], [3.0]]))
    assert [low.item(), high.item()] == pytest.approx([2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5], abs=1e-3)  # t of 2
    assert np.array(mean_interval(np.array([[3.0]]))).ravel().tolist() == [3.0, 3.0]


def test_letters_are_dark_enough_to_be_read_on_white():
    """#767676 is the lightest grey that WCAG allows for small letters (4.54); #777777 has 4.48."""
    assert [style.ink(colour) for colour in ("#767676", "#000000", "#0072b2")] == ["#767676", "#000000", "#0072b2"]
    assert style.ink("#777777") < "#767676" and style.ink("#ffffff") < "#767676"


def test_names_of_curves_are_in_their_colours_darkened_where_need_be():
    axes = Figure().add_subplot()
    style.label_ends(axes, {"pale": style.End(1.0, "#ffff00"), "dark": style.End(0.0, "#000080")}, {})
    drawn = {text.get_text(): text.get_color() for text in axes.texts}
    assert drawn["dark"] == "#000080" and drawn["pale"] == style.ink("#ffff00") != "#ffff00"
    assert {line.get_color() for line in axes.lines} == {"#ffff00", "#000080"}
