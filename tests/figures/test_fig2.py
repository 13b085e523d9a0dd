import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import paper_figures
from paper_figures import fig1, fig2, fig2a, fig2a_times, fig2b, fig3, fig4, style
from paper_figures.sheet import KINDS
from paper_figures.table import gather
from repro.errors import UserError
from repro.records.frames import load
from repro.records.store import run_folder
from repro.runs.registry import get_figure, tasks_of
from tasks.store_recall.config import TASK
from tests.figures import synthetic_recall, synthetic_speech
from tests.figures.drawing import diamonds, points
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


def test_one_file_of_each_kind_a_panel_and_one_of_all(drawn):
    assert set(drawn) == {f"{stem}.{kind}" for stem in ("fig2a", "fig2b", "fig2c", "fig2") for kind in KINDS}


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
    assert full.count("0 of 3") == full.count("&gt; 2000") == 3
    assert "not solved in 2000" in full
    mixed = words("2a", {"variants": ["bptt"]}, {"variants": ["bptt"], "seeds": (3,), "solved": {"bptt": None}})
    solved = words("2a", {"variants": ["bptt"]})
    assert not any("not solved in" in word or word[0] == "&" for word in solved) and "3 of 3" in solved
    median, other = ([int(w) for w in shown if re.fullmatch(r"\d\d", w) and w != "28"] for shown in (mixed, solved))
    assert "3 of 4" in mixed
    assert median[0] >= other[0]  # and not a mean, which 2000 would have moved far


def test_a_lost_run_is_drawn_and_counts_as_infinite(words):
    made = {"variants": ["bptt"], "seeds": (0, 1, 2)}
    whole = words("2a", made)
    lost = words("2a", made, {"variants": ["bptt"], "seeds": (3, 4, 5, 6), "failed": True})
    assert "4 lost" in lost and not any("lost" in word for word in whole)
    assert sum(word.startswith("&gt; ") for word in lost) == 1  # four of seven: the median is not known
    assert not any(word.startswith("&gt; ") for word in whole)  # control


def test_a_row_of_bounds_has_no_point(records):
    axes = Figure().subplots(3)
    counts = np.array([2000.0, 2000.0]), np.array([True, True])
    fig2a_times.draw(axes[0], 0, *counts, "#123456")
    fig2a_times.draw(axes[1], 0, counts[0], np.array([False, False]), "#123456")
    fig2a_times.draw(axes[2], 0, np.array([9.0, 11.0, 2000.0]), np.array([False, False, True]), "#123456")
    assert [points(a) for a in axes] == [[], [(2000, 0, False)], [(11, 0, False)]]
    seeds = [[len(np.asarray(marks.get_offsets())) for marks in a.collections] for a in axes]
    assert seeds == [[2], [2], [2, 1]]  # those that solved it, and those that did not


def test_the_share_that_has_not_solved_the_task_is_drawn_beside_the_medians(records):
    figure, table = Figure(figsize=(style.WIDTH, 2.2)), gather(TASK, records)
    found = {"bptt": (np.array([10.0, 20.0, 30.0, 50.0]), np.array([False, False, True, True]))}
    axes = fig2a_times._survival(figure, table, found, left=1, right=1, top=0.3, bottom=0.4)
    (curve,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert np.asarray(curve.get_xydata()).tolist() == [[1, 1], [10, 0.75], [20, 0.5], [50, 0.5]]
    assert not diamonds(axes)  # the paper prints averages, and no share


def test_the_decoded_variant_is_no_bar_and_the_others_are(drawn):
    found = texts(drawn["fig2a.svg"])
    for name, variant in TASK.variants.items():
        assert (variant.label in found) == (name != "e_prop_1_decoding")


def test_2a_shows_a_trial_that_asks_for_both_bits(words, monkeypatch):
    made = {"variants": ["e_prop_1"]}

    def shown(*seeds: int, **more: bool) -> str:
        found = words("2a", made | {"seeds": seeds} | more, made | {"seeds": (9,)})
        (seed,) = {word.split("seed ")[1] for word in found if "not used in training" in word}
        return f"{seed} {'the first seed whose recorded trial' in ' '.join(found)}"

    one_bit = synthetic_recall.make_example
    assert shown(4, 2).endswith("True")
    first = min(seed for seed in (2, 4, 9) if both(seed))
    assert shown(4, 2) == f"{first} True"

    def ones(config: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
        arrays = one_bit(config, rng)
        return arrays | {"example_target": np.minimum(arrays["example_target"], 0)}

    monkeypatch.setattr(synthetic_recall, "make_example", ones)
    assert shown(4, 2) == "2 False"
    assert shown(0, failed=True) == "9 False"


def both(seed: int) -> bool:
    """Whether the made-up trial of a seed asks for both bits; its network is always right."""
    config = TASK.resolve("e_prop_1", "paper")
    rng = np.random.default_rng([seed, *b"e_prop_1"])
    target = synthetic_recall.make_example(config, rng)["example_target"]
    return bool({0, 1} <= set(target.tolist()))


def test_a_wrong_answer_is_not_what_the_panel_shows():
    target = np.array([-1, 0, 1])
    right = np.repeat([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]], 4, axis=0)
    assert fig2a.asks_both({"example_target": target, "example_probability": right})
    wrong = right[:, ::-1]
    assert not fig2a.asks_both({"example_target": target, "example_probability": wrong})


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
