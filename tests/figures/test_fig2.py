import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import paper_figures
from paper_figures import fig1, fig2, fig2a, fig2b, fig3, fig4
from paper_figures.table import gather
from repro.errors import UserError
from repro.records.frames import load
from repro.records.store import run_folder
from repro.runs.registry import get_figure, tasks_of
from tasks.store_recall.config import TASK
from tests.figures import synthetic_speech
from tests.figures.synthetic_recall import TYPICAL, write_runs
from tests.figures.test_fig1 import STAMP, redrawn, texts

Draw = Callable[..., list[str]]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of all variants of both tasks: store-recall at the paper's size, speech on substituted data."""
    where = tmp_path_factory.mktemp("records")
    write_runs(where)
    synthetic_speech.write_runs(where)
    return where


@pytest.fixture(scope="module")
def drawn(records: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All files of figure 2, name -> bytes."""
    files = paper_figures.draw("fig2", records, None, tmp_path_factory.mktemp("figures"))
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture
def words(tmp_path: Path) -> Draw:
    """The words of one panel, drawn from records with these settings."""

    def draw(panel: str, *made: dict) -> list[str]:
        where = tmp_path / f"records{len(list(tmp_path.iterdir()))}"
        for settings in made:
            write_runs(where, **settings)
        return texts(paper_figures.draw("fig2", where, [panel], tmp_path / "out")[0].read_bytes())

    return draw


def test_one_svg_and_png_a_panel_and_one_of_all(drawn):
    assert set(drawn) == {f"{stem}.{kind}" for stem in ("fig2a", "fig2b", "fig2c", "fig2") for kind in ("svg", "png")}


def test_redrawn_without_torch_in_another_process_to_the_same_bytes(records, drawn, tmp_path):
    assert redrawn("fig2", records, tmp_path) == drawn


def test_other_records_give_other_bytes(records, drawn, tmp_path):
    for write in (write_runs, synthetic_speech.write_runs):
        write(tmp_path / "records", seeds=(0, 2, 3))
    again = paper_figures.draw("fig2", tmp_path / "records", None, tmp_path / "out")
    assert all(path.read_bytes() != drawn[path.name] for path in again)


def test_bars_carry_the_median_of_their_records_and_the_paper_s_values(records, drawn):
    found = texts(drawn["fig2a.svg"])
    runs = load(records, TASK.name)
    for variant in ("bptt", "e_prop_1", "e_prop_1_symmetric"):
        assert f"{runs[runs.variant == variant].iterations.median():.0f}" in found
    assert {"28", "50"} < set(found)


def test_runs_that_did_not_reach_5_percent_count_as_infinite(drawn, words):
    full = texts(drawn["fig2a.svg"])
    assert full.count("3 of 3 never") == full.count("&gt; 2000") == 3
    assert "iterations (given up after 2000)" in full
    mixed = words("2a", {"variants": ["bptt"]}, {"variants": ["bptt"], "seeds": (3,), "solved": {"bptt": None}})
    solved = words("2a", {"variants": ["bptt"]})
    assert not any("never" in word or "given up" in word or word[0] == "&" for word in solved)
    median, other = ([int(w) for w in shown if re.fullmatch(r"\d\d", w) and w != "28"] for shown in (mixed, solved))
    assert "1 of 4 never" in mixed
    assert median[0] >= other[0]  # and not a mean, which 2000 would have moved far


def test_a_lost_run_is_drawn_and_counts_as_infinite(words):
    made = {"variants": ["bptt"], "seeds": (0, 1, 2)}
    whole = words("2a", made)
    lost = words("2a", made, {"variants": ["bptt"], "seeds": (3, 4, 5, 6), "failed": True})
    assert "4 lost" in lost and not any("lost" in word for word in whole)
    assert sum(word.startswith("&gt; ") for word in lost) == 1  # four of seven: the median is not known
    assert not any(word.startswith("&gt; ") for word in whole)  # control


def test_a_bar_of_bounds_is_open(records):
    axes = Figure().subplots(3)
    counts = np.array([2000.0, 2000.0]), np.array([True, True])
    fig2a._bar(axes[0], 0, *counts, "#123456")
    fig2a._bar(axes[1], 0, counts[0], np.array([False, False]), "#123456")
    fig2a._bar(axes[2], 0, np.array([9.0, 11.0, 2000.0]), np.array([False, False, True]), "#123456")
    assert [[bar.get_fill() for bar in a.patches] for a in axes] == [[False], [True], [True]]
    assert axes[2].patches[0].get_width() == 11
    assert [len(a.texts) for a in axes] == [1, 0, 1]


def test_the_decoded_variant_is_no_bar_and_the_others_are(drawn):
    found = texts(drawn["fig2a.svg"])
    for name, variant in TASK.variants.items():
        assert (variant.label in found) == (name != "e_prop_1_decoding")


def test_2a_shows_the_lowest_seed_that_finished(words):
    first = {"variants": ["e_prop_1"], "seeds": (0,)}
    later = {"variants": ["e_prop_1"], "seeds": (4, 2)}
    assert any("e-prop 1, seed 2, after" in word for word in words("2a", first | {"failed": True}, later))
    assert any("e-prop 1, seed 0, after" in word for word in words("2a", first, later))


def test_2b_puts_the_chosen_reading_first_and_names_all_four(drawn):
    found = " ".join(texts(drawn["fig2b.svg"]))
    assert found.count("slow component εₐ, silence after STORE") == 1
    assert found.count("silence after STORE") == 2 and found.count("values after STORE") == 2
    assert all(word in found for word in ("τₐ = 1.2 s", "chance", "paper: &gt; 0.9", "25", "75", "200"))


def test_2b_draws_the_mean_over_seeds_of_the_reading_that_it_names(records):
    arrays = gather(TASK, records).arrays("e_prop_1_decoding", "decode_trace_values", "decode_delay_ms")
    axes = Figure().add_subplot()
    fig2b._decoding(axes, arrays, "decode_trace_values", 1.2)
    curves = [line.get_ydata() for line in axes.lines[-3:]]
    folders = [
        run_folder(TASK.name, "e_prop_1_decoding", TASK.paper_hash("e_prop_1_decoding"), s, records) for s in range(3)
    ]
    expected = np.mean([np.load(folder / "arrays.npz")["decode_trace_values"] for folder in folders], axis=0)
    assert np.allclose(curves, expected)
    other = np.mean([np.load(folder / "arrays.npz")["decode_trace_silence"] for folder in folders], axis=0)
    assert not np.allclose(curves, other)


def test_what_was_not_run_or_failed_is_drawn_as_missing(drawn, words):
    made = {"variants": ["bptt"]}, {"variants": ["truncated_traces"], "failed": True}
    a, b = words("2a", *made), words("2b", *made)
    assert "e-prop 1: not run" in a and a.count("not run") == 4 and a.count("failed") == 1
    assert "e-prop 1, decoded: not run" in b
    everything = " ".join(texts(drawn["fig2.svg"]))
    assert "not run" not in everything and "failed" not in everything


def test_a_figure_of_failures_alone_still_says_so(words):
    assert words("2a", {"seeds": (0,), "failed": True}).count("failed") == len(TYPICAL) - 1
    assert "e-prop 1, decoded: failed" in words("2b", {"seeds": (0,), "failed": True})


def test_smaller_runs_are_stamped_and_meet_no_claim(drawn, words):
    for panel in TASK.panels:
        found = words(panel, {"seeds": (0,), "profile": "smoke"})
        assert STAMP in found and STAMP not in texts(drawn[f"fig{panel}.svg"])
        assert not any("paper" in word for word in found if word != STAMP)


def test_a_panel_is_stamped_for_itself(drawn):
    (stamp,) = {word for word in texts(drawn["fig2c.svg"]) if "quick size" in word}
    assert texts(drawn["fig2.svg"]).count(stamp) == 1
    assert stamp not in texts(drawn["fig2a.svg"]) + texts(drawn["fig2b.svg"])


def test_a_task_without_records_is_drawn_as_missing(drawn, tmp_path):
    write_runs(tmp_path / "recall", seeds=(0,))
    synthetic_speech.write_runs(tmp_path / "speech", seeds=(0,))
    for there, missing in (("recall", "fig2c"), ("speech", "fig2b")):
        files = paper_figures.draw("fig2", tmp_path / there, ["2b", "2c"], tmp_path / f"{there} drawn")
        drawn_texts = {path.stem: texts(path.read_bytes()) for path in files if path.suffix == ".svg"}
        assert [stem for stem in drawn_texts if any("not run: make" in word for word in drawn_texts[stem])] == [missing]
        assert f"not run: make fig2 PANELS={missing[3:]}" in drawn_texts[missing]
    assert not any("not run" in word for word in texts(drawn["fig2.svg"]))
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no records of store_recall or speech to draw in .*; run: make fig2"):
        paper_figures.draw("fig2", tmp_path / "none", None, tmp_path / "out")
    with pytest.raises(UserError, match="no records of speech to draw"):
        paper_figures.draw("fig2", tmp_path / "recall", ["2c"], tmp_path / "out")


def test_a_record_without_the_arrays_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.figures.synthetic_recall.make_decoding", lambda config, rng: {})
    write_runs(tmp_path / "records", seeds=(0,))
    with pytest.raises(UserError, match="has no array decode_.*; train that run again"):
        paper_figures.draw("fig2", tmp_path / "records", ["2b"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    paper_figures.draw("fig2", tmp_path / "records", ["2a"], tmp_path / "out")


@pytest.mark.parametrize(("name", "module"), [("fig1", fig1), ("fig2", fig2), ("fig3", fig3), ("fig4", fig4)])
def test_every_panel_has_a_task_that_is_trained_for_it(name, module):
    assert get_figure(name) is module
    assert {panel for task in tasks_of(name) for panel in task.panels} == set(module.PANELS)
