import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import paper_figures
from paper_figures import fig4e, fig4g, rows, style
from paper_figures.sheet import KINDS
from paper_figures.table import Table, gather
from repro.records.frames import load
from tasks.copy_repeat.config import TASK as COPY
from tasks.word_prediction.config import TASK as WORDS
from tests.figures import synthetic_copy, synthetic_words
from tests.figures.drawing import Draw, axes_of, copies, diamonds, points, texts_of, words_in
from tests.figures.synthetic_words import PAPER, STAND_IN
from tests.figures.test_fig1 import redrawn, texts

STAMP = "not the paper's size (smoke)"
(SUBSTITUTE,) = [name for name, values in WORDS.substitutes.items() if values == STAND_IN]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of all variants of both tasks at `smoke`, the words from the stand-in."""
    where = tmp_path_factory.mktemp("records")
    synthetic_copy.write_runs(where, (0, 1), profile="smoke")
    synthetic_words.write_runs(where, (0, 1), profile="smoke", data=STAND_IN)
    return where


@pytest.fixture(scope="module")
def drawn(records: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All files of figure 4, name -> bytes."""
    files = paper_figures.draw("fig4", records, None, tmp_path_factory.mktemp("figures"))
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture
def words(tmp_path: Path) -> Draw:
    """The words of a panel, drawn from records with these settings."""
    return words_in(tmp_path)


def test_one_file_of_each_kind_a_panel_and_one_of_all(drawn):
    stems = [f"fig{panel}" for panel in ("4c", "4d", "4e", "4f", "4g", "4h", "4")]
    assert list(drawn) == [f"{stem}.{kind}" for stem in stems for kind in KINDS]
    assert set("cdefgh") < set(texts(drawn["fig4.svg"]))


def test_redrawn_without_torch_in_another_process_to_the_same_bytes(records, drawn, tmp_path):
    assert redrawn("fig4", records, tmp_path) == drawn


def test_other_records_give_other_bytes(drawn, tmp_path):
    synthetic_copy.write_runs(tmp_path / "records", (5, 6), profile="smoke")
    synthetic_words.write_runs(tmp_path / "records", (5, 6), profile="smoke", data=STAND_IN)
    for path in paper_figures.draw("fig4", tmp_path / "records", None, tmp_path / "out"):
        assert path.read_bytes() != drawn[path.name], path.name


def test_one_task_alone_is_enough(tmp_path):
    for there, make in (("copy", copies), ("words", texts_of)):
        make(tmp_path / there, seeds=(0,), profile="smoke")
        files = paper_figures.draw("fig4", tmp_path / there, None, tmp_path / f"{there} drawn")
        labels = {path.stem: texts(path.read_bytes()) for path in files if path.suffix == ".svg"}
        missing = {panel for panel in "cdefgh" if f"not run: make fig4 PANELS=4{panel}" in labels[f"fig4{panel}"]}
        assert missing == set("dfh" if there == "copy" else "ceg")
        assert sum("not run: make" in word for word in labels["fig4"]) == 3


def test_small_runs_are_stamped_and_meet_no_value_of_the_paper(drawn, words):
    for panel in "ceg":
        assert STAMP in texts(drawn[f"fig4{panel}.svg"])
    for panel in "dfh":
        found = texts(drawn[f"fig4{panel}.svg"])
        assert found.count(f"{SUBSTITUTE}, smoke size") == 1 and sum(SUBSTITUTE in word for word in found) == 2
    assert "paper (full size)" in texts(drawn["fig4e.svg"]) and "paper (PTB)" in texts(drawn["fig4f.svg"])
    assert "paper (full size)" in words("4f", {"profile": "smoke"})
    assert not any(word == "paper" or "Jaderberg" in word for word in texts(drawn["fig4.svg"]))


def test_runs_of_the_paper_s_size_and_data_are_not_stamped(words):
    for panel in ("4c", "4d", "4e", "4f", "4h"):
        found = words(panel, {"profile": "paper", "seeds": (0,), "variants": ["e_prop_3", "bptt_4"]})
        assert not any("size" in word or "in place of" in word for word in found)
        assert any("Penn Treebank" in word for word in found) == (panel in WORDS.panels)


def test_bars_are_means_of_the_records(records, drawn, tmp_path):
    for task, panel, metric, form in ((COPY, "4e", "length_solved", ".3g"), (WORDS, "4f", "perplexity", ".4g")):
        found, runs = texts(drawn[f"fig{panel}.svg"]), load(records, task.name)
        for _, seeds in runs.groupby("variant"):
            rose = "≥ " if "flattened" in seeds and (seeds.flattened == 0).any() else ""
            assert f"{rose}{seeds[metric].mean():{form}}" in found
        axes = axes_of(fig4e.panel_e if task is COPY else fig4e.panel_f, gather(task, records))[0]
        means = runs.groupby("variant")[metric].mean()[list(task.variants)]
        assert [value for value, _, _ in points(axes)] == pytest.approx(list(means))
        assert [value for value, _, _ in points(axes)] != pytest.approx(list(means[::-1]))
    assert "mean of 2 seeds, 95 % interval" in texts(drawn["fig4e.svg"])


def test_the_paper_s_values_are_those_of_the_claims(tmp_path):
    axes = axes_of(fig4e.panel_e, copies(tmp_path / "copy", profile="paper", seeds=(0,)))
    assert sorted(diamonds(axes[0])) == [15, 19, 28, 39, 41, 74]
    (open_one,) = [line for line in axes[0].lines if line.get_markerfacecolor() == "white"]
    row = list(COPY.variants).index("synthetic_gradients")
    assert np.asarray(open_one.get_xydata()).tolist() == [[39, row + rows.ABOVE]]
    (key,) = axes[0].get_figure().legends
    assert "Jaderberg et al." in [text.get_text() for text in key.get_texts()]
    bars = axes_of(fig4e.panel_f, texts_of(tmp_path / "words", profile="paper", seeds=(0,)))[0]
    assert sorted(diamonds(bars)) == [113, 113, 115, 116, 118, 121, 122.67]
    small = {"seeds": (0,), "profile": "smoke"}
    assert diamonds(axes_of(fig4e.panel_e, copies(tmp_path / "small copy", **small))[0]) == []
    assert diamonds(axes_of(fig4e.panel_f, texts_of(tmp_path / "small words", **small))[0]) == []


def test_a_run_that_still_rose_is_a_triangle(tmp_path):
    late = {"e_prop_3": (4, 1.0), "bptt_4": (4, 0.1)}
    table = copies(tmp_path, variants=late, rungs=late)
    assert set(table.values("e_prop_3", "flattened")) == {0} and set(table.values("bptt_4", "flattened")) == {1}
    axes = Figure().subplots(2)
    for place, variant in zip(axes, late, strict=True):
        fig4e.draw(place, 0, fig4e._lengths(table, variant), "#123456")
    faces = [[to_hex(marks.get_facecolor()[0]) for marks in place.collections] for place in axes]
    assert faces == [["#ffffff"], ["#123456"]]  # open triangles, full dots
    flat = copies(tmp_path / "flat", variants=["bptt_4"], rungs={"bptt_4": (4, 0.1)})
    assert ["still rose" in entries(runs) for runs in (table, flat)] == [True, False]


def entries(table: Table) -> list[str]:
    """The entries of the key of panel 4e."""
    (key,) = axes_of(fig4e.panel_e, table)[0].get_figure().legends
    return [text.get_text() for text in key.get_texts()]


def test_unfinished_runs_are_open_and_say_how_far_they_came(words, tmp_path):
    whole, part = {"profile": "paper", "variants": ["bptt_20"]}, {"profile": "paper", "variants": ["e_prop_3"]}
    found = words("4f", whole, part | {"epochs": 7})
    assert {"epochs", "7 of 20", "20"} < set(found)
    assert not {"epochs", "20", "7 of 20"} & set(words("4f", whole, part))
    table = gather(WORDS, tmp_path / "records0")
    assert [hollow for _, _, hollow in points(axes_of(fig4e.panel_f, table)[0])] == [False, True]
    curves = axes_of(fig4g.panel_h, table)[0]
    ((ring,),) = [[line for line in curves.lines if line.get_marker() == "o"]]
    valid = table.with_unfinished().arrays("e_prop_3", "valid_perplexity")["valid_perplexity"]
    assert np.asarray(ring.get_xydata()) == pytest.approx(np.array([[7, valid.mean(0)[6]]]))
    assert to_hex(ring.get_markeredgecolor()) == style.COLOURS["e_prop_3"]
    assert words("4d", part | {"epochs": 7}).count("no run finished") == 1


def test_unfinished_runs_beyond_the_axis_are_arrows_and_do_not_stretch_it(tmp_path):
    paper = {"profile": "paper", "seeds": (0,)}
    texts_of(tmp_path / "one", **paper, variants=["bptt_20", "bptt_4"])
    alone = axes_of(fig4e.panel_f, gather(WORDS, tmp_path / "one"))[0]
    table = texts_of(tmp_path / "one", **paper, variants=["e_prop_3"], epochs=1)
    assert table.with_unfinished().values("e_prop_3", "perplexity")[0] > 150
    axes = axes_of(fig4e.panel_f, table)[0]
    assert axes.get_xlim() == alone.get_xlim()
    assert [len([text for text in a.texts if text.arrow_patch is not None]) for a in (alone, axes)] == [0, 1]


def test_lengths_of_unfinished_runs_too(tmp_path):
    copies(tmp_path, variants=["bptt_4"])
    table = copies(tmp_path, variants=["e_prop_3"], iterations=5000)
    axes = axes_of(fig4e.panel_e, table)
    assert [hollow for _, _, hollow in points(axes[0])] == [False, True]
    assert {"iterations", "5000 of 12000", "12000"} < {text.get_text() for text in axes[1].texts}
    ((ring,),) = [[line for line in axes_of(fig4g.panel_g, table)[0].lines if line.get_marker() == "o"]]
    assert np.asarray(ring.get_xdata()).tolist() == [5000]


def test_an_unfinished_run_neither_joins_nor_outweighs_finished_ones(tmp_path):
    texts_of(tmp_path, variants=["bptt_4"], seeds=(0, 1))
    table = texts_of(tmp_path, variants=["bptt_4"], seeds=(2,), epochs=3).with_unfinished()
    assert (len(table.values("bptt_4", "seed")), table.progress("bptt_4"), table.count("bptt_4")) == (2, "", "2")
    paper = {"profile": "paper", "variants": ["e_prop_3"]}
    assert texts_of(tmp_path, **paper, seeds=(0, 1, 2), epochs=3).stamp == "not the paper's size (quick)"
    assert texts_of(tmp_path, **paper, seeds=(3,)).stamp == ""  # control: one that finished


def test_lengths_are_drawn_as_steps_of_seeds_and_of_their_mean(tmp_path):
    table = copies(tmp_path, variants=["e_prop_3"], profile="smoke")
    curves = table.arrays("e_prop_3", "length_solved")["length_solved"]
    axes, right = axes_of(fig4g.panel_g, table)
    for line, wanted in zip(axes.lines, [*curves, curves.mean(0)], strict=True):
        at = np.arange(1, curves.shape[1] + 1)
        drawn = np.asarray(line.get_ydata())[np.searchsorted(np.asarray(line.get_xdata()), at, side="right") - 1]
        assert np.array_equal(drawn, wanted) and line.get_drawstyle() == "steps-post"
    assert len(np.asarray(axes.lines[0].get_xdata())) < 20  # and not a point an iteration
    assert not np.array_equal(curves[0], curves.mean(0))
    assert [text.get_text() for text in right.texts if text.get_color() == style.COLOURS["e_prop_3"]] == ["e-prop 3"]


@pytest.mark.parametrize(("variant", "steps"), [("e_prop_3", 4), ("bptt_full", 0)])
def test_lengths_are_drawn_against_weight_updates_too(tmp_path, variant, steps):
    """One update a window of four steps, the last one shorter; one a batch of full BPTT."""
    table = copies(tmp_path, variants=[variant], profile="smoke")
    arrays = table.arrays(variant, "length", "length_solved")
    _, right = axes_of(fig4g.panel_g, table)
    for line, lengths, solved in zip(right.lines, arrays["length"], arrays["length_solved"], strict=False):
        updates = np.cumsum([-(-int(n) // steps) if steps else 1 for n in lengths])
        at = np.asarray(line.get_xdata())
        assert at[-1] == updates[-1] and set(at) <= set(updates)
        assert np.array_equal(np.asarray(line.get_ydata()), solved[np.searchsorted(updates, at)])
    assert (at[-1] > len(lengths)) == bool(steps)  # control: batches are fewer than windows


def test_perplexities_are_drawn_by_epoch(tmp_path):
    table = texts_of(tmp_path, variants=["bptt_4"])
    curves = table.arrays("bptt_4", "valid_perplexity")["valid_perplexity"]
    (*single, mean) = [line for line in axes_of(fig4g.panel_h, table)[0].lines if line.get_ls() == "-"]
    assert np.allclose([line.get_ydata() for line in single], curves) and np.allclose(mean.get_ydata(), curves.mean(0))
    assert np.asarray(mean.get_xdata()).tolist() == [1, 2, 3, 4, 5]
    assert mean.get_lw() > single[0].get_lw()


def test_seeds_of_unequal_ends_have_a_mean_as_far_as_all_of_them_came():
    curves = np.array([[4.0, 3.0, 2.0], [6.0, 5.0, np.nan]])
    assert fig4g.common(curves).tolist() == [[4, 3], [6, 5]]
    axes = Figure().subplots()
    assert fig4g._stairs(axes, curves, "#123456") == (2.0, 4.0)
    assert [np.asarray(line.get_xdata())[-1] for line in axes.lines] == [3, 2, 2]


def test_single_seeds_are_named_only_if_there_are_several(words):
    for panel in ("4g", "4h"):
        assert any("single seeds" in word for word in words(panel, {"profile": "smoke", "seeds": (0, 1)}))
        assert not any("single seeds" in word for word in words(panel, {"profile": "smoke", "seeds": (0,)}))


def test_what_was_not_run_or_failed_is_drawn_as_missing(words, drawn):
    smoke = {"profile": "smoke", "seeds": (0,)}
    for task, bars, curves in ((COPY, "4e", "4g"), (WORDS, "4f", "4h")):
        made = smoke | {"variants": ["bptt_4"]}, smoke | {"variants": ["e_prop_1"], "failed": True}
        found = words(bars, *made)
        assert found.count("not run") == len(task.variants) - 2 and found.count("failed") == 1
        assert "0 of 1" in found
        labels = words(curves, *made)
        assert labels.count("not run:") == labels.count("failed:") == 1
    for panel in ("4c", "4d", "4g", "4h"):
        assert "no run finished" in words(panel, smoke | {"failed": True})
    for panel, task in (("4e", COPY), ("4f", WORDS)):
        assert words(panel, smoke | {"failed": True}).count("failed") == len(task.variants)
    assert not any(re.search("not run|failed|finished", word) for word in texts(drawn["fig4.svg"]))


def test_the_readings_are_printed(drawn):
    assert fig4e.READING in texts(drawn["fig4f.svg"]) and PAPER["corpus"] == "ptb"
