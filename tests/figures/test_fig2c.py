from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import paper_figures
from paper_figures import fig2c, fig2c_utterance, rows, style, table
from paper_figures.table import gather
from repro.records.frames import load
from repro.runs.registry import get_task, task_names
from repro.runs.sizes import sizes
from tasks.speech.config import TASK
from tasks.speech.phones import INDEX, PHONES
from tests.figures.drawing import diamonds, points
from tests.figures.synthetic_speech import PAPER, TYPICAL, write_runs
from tests.figures.test_fig1 import texts

SUBSTITUTE = "synthesised speech in place of TIMIT"
OWN_DATA = [name for name in task_names() if not get_task(name).substitutes]  # made, not collected
Draw = Callable[..., list[str]]


@pytest.fixture
def words(tmp_path: Path) -> Draw:
    """The words of the panel, drawn from records with these settings."""

    def draw(*made: dict) -> list[str]:
        where = tmp_path / f"records{len(list(tmp_path.iterdir()))}"
        for settings in made:
            write_runs(where, **settings)
        return texts(paper_figures.draw("fig2", where, ["2c"], tmp_path / "out")[0].read_bytes())

    return draw


def test_bars_carry_the_mean_of_their_records(words, tmp_path):
    found = words({})
    runs = load(next(tmp_path.glob("records*")), TASK.name)
    for variant, seeds in runs.groupby("variant"):
        assert f"{seeds.accuracy.mean():.3f}" in found
        assert found.count(TASK.variants[str(variant)].label) == 2  # beside its bar and its curve
    assert f"{runs.validation_accuracy.mean():.3f}" not in found


def test_on_a_substitute_the_paper_s_values_are_printed_and_not_drawn(words, tmp_path):
    found = words({"accuracy": dict.fromkeys(TYPICAL, 0.8)})
    assert found.count(f"{SUBSTITUTE}, quick size") == 1  # the tag
    assert f"Frame accuracy on test utterances of {SUBSTITUTE}" in found
    assert "paper (TIMIT)" in found and {"0.529", "0.629", "0.651", "0.671", "0.704"} < set(found)
    axes = accuracies(gather(TASK, next(tmp_path.glob("records*"))))
    assert not diamonds(axes)


def test_on_the_paper_s_data_they_are_diamonds_and_nothing_is_stamped(words, tmp_path):
    found = words({"profile": "paper", "data": PAPER})
    assert "paper" in found and "Frame accuracy on test utterances of TIMIT" in found
    assert not any("synthesised" in word or "size" in word for word in found)
    axes = accuracies(gather(TASK, next(tmp_path.glob("records*"))))
    assert diamonds(axes) == [0.629, 0.651, 0.671, 0.529, 0.704]


def accuracies(records: table.Table):
    """The axes of the rows."""
    figure = Figure(figsize=(style.WIDTH, fig2c.HEIGHT))
    fig2c._accuracies(figure, records)
    return figure.axes[0]


def test_smaller_runs_on_the_paper_s_data_say_so(words):
    found = words({"data": PAPER})
    assert "not the paper's size (quick)" in found and any("TIMIT" in word for word in found) and "paper" not in found


def test_the_sizes_are_profiles_times_data_whatever_the_machine_has(monkeypatch, tmp_path):
    wanted = ["", "not the paper's size (quick)", "not the paper's size (smoke)"]
    wanted += [SUBSTITUTE, f"{SUBSTITUTE}, quick size", f"{SUBSTITUTE}, smoke size"]
    found = sizes(TASK)
    assert [size.stamp for size in found] == wanted
    assert [size.source for size in found] == [""] * 3 + [SUBSTITUTE] * 3
    assert len({size.hashes["bptt"] for size in found}) == 6
    monkeypatch.setenv("TIMIT_DIR", str(tmp_path))
    assert TASK.data_here() == {"corpus": "timit"}
    assert sizes(TASK) == found
    assert {size.source for name in OWN_DATA for size in sizes(get_task(name))} == {""}


def test_the_paper_s_size_comes_first_then_the_most_runs_then_the_larger(tmp_path):
    def stamp() -> str:
        return gather(TASK, tmp_path).stamp

    write_runs(tmp_path, seeds=(0,), profile="smoke")
    assert stamp() == f"{SUBSTITUTE}, smoke size"
    write_runs(tmp_path, seeds=(0,), profile="quick")
    assert stamp() == f"{SUBSTITUTE}, quick size"
    write_runs(tmp_path, seeds=(1,), profile="smoke")
    assert stamp() == f"{SUBSTITUTE}, smoke size"
    write_runs(tmp_path, seeds=(0,), profile="paper", variants=["bptt"])
    assert stamp() == f"{SUBSTITUTE}, smoke size"
    write_runs(tmp_path, seeds=(0,), profile="paper", variants=["bptt"], data=PAPER)
    assert stamp() == ""


def test_every_phone_has_one_group():
    listed = [phone for _, phones in fig2c_utterance.GROUPS.values() for phone in phones.split()]
    assert sorted(listed) == list(PHONES)


def test_segments_are_of_the_frames_that_they_name():
    axes = Figure(figsize=(6, 1)).subplots()
    labels = np.array([INDEX[phone] for phone in ("sh", "sh", "iy", "iy", "iy", "sh")])
    fig2c_utterance._phones(axes, labels, 5)
    assert [(b.get_x(), b.get_width()) for b in axes.patches] == [(0, 10), (10, 15), (25, 5)]
    assert [to_hex(b.get_facecolor()) for b in axes.patches] == [
        fig2c_utterance.SHADES[name] for name in ("sh", "iy", "sh")
    ]
    assert [(text.get_text(), text.get_position()[0]) for text in axes.texts] == [("sh", 5), ("iy", 17.5), ("sh", 27.5)]


def test_each_wrong_frame_is_a_block():
    axes = Figure(figsize=(6, 1)).subplots()
    fig2c_utterance._wrong(axes, np.array([False, True, True, False, True]), 5)
    blocks = [np.asarray(path.vertices)[:, 0] for path in axes.collections[0].get_paths()]
    assert [(block.min(), block.max()) for block in blocks] == [(5, 10), (10, 15), (20, 25)]


def test_frequencies_stand_at_the_bands_of_their_mel_scale():
    """Centres of torchaudio's bands: evenly spaced in mel between 0 and 8 kHz, both ends left out."""
    mel = np.linspace(0, 2840.023, 42)[1:-1]
    hertz = 700 * (10 ** (mel / 2595) - 1)
    rows = [fig2c_utterance.row_of(float(f), 40) for f in hertz]
    assert rows == pytest.approx(np.arange(40) + 0.5, abs=1e-3)
    assert (fig2c_utterance.row_of(0, 40), fig2c_utterance.row_of(8000, 40)) == (0, 40)


def test_names_that_do_not_fit_are_left_out():
    axes = Figure(figsize=(6, 1)).subplots()
    fig2c_utterance._phones(axes, np.array([INDEX["sh"]] * 99 + [INDEX["pcl"]]), 5)
    assert [text.get_text() for text in axes.texts] == ["sh"]


@pytest.mark.parametrize(
    ("n_lif", "n_alif", "rows", "lif"),
    [(300, 100, 20, 10), (12, 4, 14, 10), (4, 12, 14, 4), (10, 0, 10, 10), (0, 10, 10, 0)],
)
def test_where_the_adaptive_neurons_begin(n_lif, n_alif, rows, lif, tmp_path):
    axes = Figure().subplots()
    fig2c_utterance._direction(axes, np.eye(rows), {"n_lif": n_lif, "n_alif": n_alif})
    assert np.asarray(axes.lines[0].get_ydata())[0] == lif
    assert [text.get_text() for text in axes.texts] == ["LIF"] * (n_lif > 0) + ["ALIF"] * (n_alif > 0)


def test_the_utterance_has_its_frame_accuracy(words, tmp_path):
    found = " ".join(words({"seeds": (2, 4)}))
    _, arrays = gather(TASK, next(tmp_path.glob("records*"))).example("e_prop_1", "example_labels", "example_predicted")
    right = np.mean(arrays["example_labels"] == arrays["example_predicted"])
    assert f"e-prop 1, seed 2: one test utterance, {100 * right:.0f} % of its frames are right" in found
    assert 0.2 < right < 0.9


def test_curves_are_means_over_seeds_against_epochs(tmp_path):
    write_runs(tmp_path, variants=["bptt"])
    figure, records = Figure(figsize=(style.WIDTH, fig2c.HEIGHT)), gather(TASK, tmp_path)
    fig2c._learning(figure, records)
    line = figure.axes[0].lines[0]
    config = TASK.resolve("bptt", "quick")
    epochs = np.asarray(line.get_xdata())
    assert (len(epochs), epochs[-1]) == (config.evaluations, config.epochs)
    assert np.diff(epochs) == pytest.approx(epochs[0])
    assert epochs[0] == pytest.approx(1)  # `quick` is evaluated once an epoch
    curves = records.arrays("bptt", "validation_accuracy")["validation_accuracy"]
    drawn = np.asarray(line.get_ydata())
    assert np.allclose(drawn, curves.mean(0)) and not np.allclose(drawn, curves[0])


def test_what_was_not_run_or_failed_is_drawn_as_missing(words):
    found = words({"variants": ["bptt"]}, {"variants": ["readout_only"], "failed": True})
    assert "e-prop 1: not run" in found and found.count("not run") == 4 and found.count("failed") == 1
    broken = words({"failed": True})
    assert broken.count("failed") == 6 and "no run finished" in broken and "e-prop 1: failed" in broken


def test_the_variant_that_the_paper_does_not_show_is_a_hollow_point(tmp_path):
    write_runs(tmp_path, seeds=(0,))
    drawn = points(accuracies(gather(TASK, tmp_path)))
    assert [variant for variant, (_, _, hollow) in zip(TASK.variants, drawn, strict=True) if hollow] == [fig2c.ASIDE]


def test_a_point_is_the_mean_and_its_line_the_interval():
    axes = Figure().subplots()
    rows.mean(axes, 3, np.array([0.5, 0.6]), "#123456")
    rows.mean(axes, 4, np.array([0.7]), "#123456")
    assert points(axes) == [(pytest.approx(0.55), 3, False), (0.7, 4, False)]
    (interval,) = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 2]
    low, high = np.asarray(interval.get_xdata())
    assert (low + high) / 2 == pytest.approx(0.55) and high - low == pytest.approx(0.1 * 12.706, rel=1e-3)  # t, 1 d.f.
    assert [len(np.asarray(marks.get_offsets())) for marks in axes.collections] == [2]  # no dot below a single seed
