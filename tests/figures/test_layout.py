"""Every figure is legible at the width of a journal: of whole records, of small ones, and where runs are missing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import paper_figures
from paper_figures import style
from repro import drawing
from tests.figures import (
    synthetic,
    synthetic_arm,
    synthetic_copy,
    synthetic_recall,
    synthetic_speech,
    synthetic_words,
    test_theory_figure,
)
from tests.figures.layout import faults, figures

WRITERS: dict[str, tuple[Callable[..., None], ...]] = {
    "fig1": (synthetic.write_runs,),
    "fig2": (synthetic_recall.write_runs, synthetic_speech.write_runs),
    "fig3": (synthetic_arm.write_runs,),
    "fig4": (synthetic_copy.write_runs, synthetic_words.write_runs),
    "theory": (test_theory_figure.write_runs,),
}


def wrong(figure: str, where: Path) -> list[str]:
    """The faults of a figure and of each of its panels."""
    with figures() as drawn:
        paper_figures.draw(figure, where, None, where.parent / "out")
    with drawing.theme():
        return [fault for page in drawn for fault in faults(page)]


@pytest.mark.parametrize("figure", WRITERS)
@pytest.mark.parametrize(("profile", "seeds"), [("paper", (0, 1, 2)), ("smoke", (0,))])
def test_letters_are_legible_and_apart(figure, profile, seeds, tmp_path):
    for write in WRITERS[figure]:
        write(tmp_path / "records", seeds, profile=profile)
    assert wrong(figure, tmp_path / "records") == []


@pytest.mark.parametrize("figure", ["fig1", "fig2", "fig3", "fig4"])
def test_also_where_all_runs_failed_but_one(figure, tmp_path):
    one = {"fig1": "bptt", "fig2": "bptt", "fig3": "no_inner_update", "fig4": "bptt_4"}[figure]
    for write in WRITERS[figure]:
        write(tmp_path / "records", (0, 1), profile="smoke", failed=True)
        write(tmp_path / "records", (2,), profile="smoke", variants=[one])
    assert wrong(figure, tmp_path / "records") == []


def test_faults_are_seen():
    with drawing.theme():
        figure = Figure(figsize=(2, 1))
        figure.text(0.1, 0.5, "fine")
        assert faults(figure) == []
        figure.text(0.1, 0.1, "small", fontsize=6)
        figure.text(0.9, 0.5, "beyond the edge")
        figure.text(0.12, 0.5, "above")
        found = faults(figure)
    assert found == ["'small' has 6 points", "'beyond the edge' leaves the page", "'fine' covers 'above'"]


def test_a_figure_is_as_wide_as_two_columns(tmp_path):
    synthetic.write_runs(tmp_path / "records", seeds=(0,))
    with figures() as drawn:
        paper_figures.draw("fig1", tmp_path / "records", None, tmp_path / "out")
    assert drawn[-1].get_figwidth() * 25.4 == pytest.approx(180) and style.SMALL == 6.5
