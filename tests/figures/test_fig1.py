import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import paper_figures
from paper_figures import fig1, fig1c, fig1d, table
from paper_figures.sheet import KINDS
from repro import drawing
from repro.claims.claim import load_claims
from repro.records.frames import load
from repro.records.store import run_folder
from tasks.pattern_generation.config import TASK
from tests.figures.synthetic import write_runs

ROOT = Path(__file__).parents[2]
STAMP = "not the paper's size (smoke)"
WITHOUT_TORCH = """
import sys
from pathlib import Path

class Block:  # a None in sys.modules would do, but scipy asks whether "torch" is in there
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("torch", "pytorch_lightning", "wandb", "optuna"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Block())
import paper_figures
from repro import drawing
drawing.RC["savefig.dpi"] = int(sys.argv[3])
paper_figures.draw("fig1", sys.argv[1], None, Path(sys.argv[2]))
"""


def redrawn(figure: str, records: Path, out: Path) -> dict[str, bytes]:
    """All files of a figure drawn in another process without torch, as coarse as in this one; name -> bytes."""
    script = WITHOUT_TORCH.replace('"fig1"', f'"{figure}"')
    dpi = str(drawing.RC["savefig.dpi"])
    subprocess.run([sys.executable, "-c", script, str(records), str(out), dpi], cwd=ROOT, check=True)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def texts(svg: bytes) -> list[str]:
    """The words of a figure."""
    return re.findall(r">([^<>]+)</text>", svg.decode())


def draw(panel: str, where: Path, out: Path) -> bytes:
    """One panel's SVG."""
    return paper_figures.draw("fig1", where, [panel], out)[0].read_bytes()


def test_one_file_of_each_kind_a_panel_and_one_of_all(drawn):
    assert set(drawn) == {f"{stem}.{kind}" for stem in ("fig1c", "fig1d", "fig1e", "fig1") for kind in KINDS}


def test_some_panels_leave_the_whole_figure_alone(records, tmp_path):
    files = paper_figures.draw("fig1", records, ["1e", "1d"], tmp_path)
    assert [file.name for file in files] == [f"fig1{letter}.{kind}" for letter in "ed" for kind in KINDS]
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_redrawn_without_torch_in_another_process_to_the_same_bytes(records, drawn, tmp_path):
    assert redrawn("fig1", records, tmp_path) == drawn


def test_other_records_give_other_bytes(drawn, tmp_path):
    write_runs(tmp_path / "records", seeds=(0, 2))
    again = draw("1d", tmp_path / "records", tmp_path / "out")
    assert again != drawn["fig1d.svg"]
    assert texts(again) != texts(drawn["fig1d.svg"])


def test_bars_carry_the_mean_of_their_records_and_the_value_of_the_claim(records, drawn):
    words = texts(drawn["fig1d.svg"])
    runs = load(records, TASK.name)
    for _, seeds in runs.groupby("variant"):
        assert f"{seeds.nmse.mean():.3f}" in words
    claimed = [claim.claimed for claim in load_claims() if claim.panel == "1d" and claim.kind == "value"]
    assert len(claimed) == 4
    assert all(f"{value:.3f}" in words for value in claimed)


def test_the_paper_values_come_from_the_claims(records, drawn, tmp_path, monkeypatch):
    claim = next(claim for claim in load_claims() if claim.id == "1d-binary")
    monkeypatch.setattr(table, "load_claims", lambda: [dataclasses.replace(claim, claimed=7.777)])
    assert "7.777" in texts(draw("1d", records, tmp_path))
    assert "7.777" not in texts(drawn["fig1d.svg"])


def test_1c_shows_the_lowest_seed_that_finished_and_its_own_error(records, drawn):
    words = " ".join(texts(drawn["fig1c.svg"]))
    folder = run_folder(TASK.name, "e_prop_1", TASK.paper_hash("e_prop_1"), 0, records)
    with np.load(folder / "arrays.npz") as arrays:
        nmse = arrays["nmse"]
    assert "e-prop 1, seed 0" in words
    for trial in (100, 500):
        assert f"after {trial} trials: nmse {nmse[trial - 1]:.3f}" in words
    assert f"nmse {nmse[500]:.3f}" not in words  # the trial beside it


def test_what_was_not_run_or_failed_is_drawn_as_missing(drawn, tmp_path):
    where = tmp_path / "records"
    write_runs(where, variants=["bptt"], seeds=(0, 1))
    write_runs(where, variants=["clopath"], seeds=(0, 1), failed=True)
    write_runs(where, variants=["bptt"], seeds=(2,), failed=True)
    words = {panel: texts(draw(panel, where, tmp_path / "out")) for panel in fig1.PANELS}
    assert "e-prop 1: not run" in words["1c"]
    assert words["1d"].count("not run") == len(TASK.variants) - 2 and words["1d"].count("failed") == 1
    assert {"2 of 3", "0 of 2"} < set(words["1d"])
    assert {"1 lost", "2 lost"} < set(words["1d"]) and any(word.endswith("; 3 runs lost") for word in words["1d"])
    assert not any("lost" in word for word in texts(drawn["fig1d.svg"]))  # control
    assert words["1e"].count("failed:") == 1 and words["1e"].count("not run:") == 2  # of two halves
    assert {"Clopath rule", "20 ms", "BPTT"} < set(words["1e"])
    everything = " ".join(texts(drawn["fig1.svg"]))
    assert "not run" not in everything and "failed" not in everything


def test_a_figure_of_failures_alone_still_says_so(tmp_path):
    write_runs(tmp_path / "records", seeds=(0,), failed=True)
    assert texts(draw("1d", tmp_path / "records", tmp_path / "out")).count("failed") == len(TASK.variants)
    assert texts(draw("1e", tmp_path / "records", tmp_path / "out")).count("failed:") == 2


def test_smaller_runs_are_stamped_and_meet_no_claim(drawn, tmp_path):
    write_runs(tmp_path / "records", seeds=(0,), profile="smoke")
    for panel in fig1.PANELS:
        words = texts(draw(panel, tmp_path / "records", tmp_path / "out"))
        assert STAMP in words and STAMP not in texts(drawn[f"fig{panel}.svg"])
        assert "0.485" not in words and "in the paper" not in " ".join(words)


def test_sizes_are_never_mixed(tmp_path):
    write_runs(tmp_path / "records", seeds=(0,), profile="smoke")
    write_runs(tmp_path / "records", seeds=(0,), variants=["e_prop_1"])
    words = texts(draw("1d", tmp_path / "records", tmp_path / "out"))
    assert words.count("not run") == len(TASK.variants) - 1 and STAMP not in words


def test_a_curve_is_the_geometric_mean_over_seeds_and_bins():
    axes = Figure().add_subplot()
    curves = np.repeat([[0.1], [10.0]], 100, axis=1)  # arithmetic mean: 5.05
    assert fig1d._curve(axes, curves, "bptt") == pytest.approx(1.0)
    assert len(np.asarray(axes.lines[0].get_xdata())) == 10
    band = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    half = 12.7062 * np.log(10)  # Student's t of one degree of freedom, times the standard error of +- log 10
    assert np.log([band.min(), band.max()]) == pytest.approx([-half, half], rel=1e-4)


def test_1c_shows_active_neurons_in_the_order_of_firing_and_says_how_they_were_chosen():
    spikes = np.zeros((1, 4, 1000), np.uint8)
    spikes[0, 3, 100:150:10] = spikes[0, 1, 500:550:10] = spikes[0, 2, :30:10] = 1  # 5, 5 and 3 Hz
    recorded = {"snapshot_spikes": spikes, "snapshot_trials": np.array([500])}
    chosen, how = fig1c.active(recorded)
    assert chosen.tolist() == [3, 1] and how == "those of 4 random ones that fire at 5 Hz or more after 500 trials"
    _, how = fig1c.active(recorded | {"snapshot_active": np.array(143)})
    assert how == "2 drawn at random from 143 recorded ones that fire at 5 Hz or more after 500 trials"
    none, how = fig1c.active(recorded | {"snapshot_spikes": 0 * spikes})
    assert len(none) == 4 and how == "4 random ones; none fires at 5 Hz or more after 500 trials"


def test_1c_compares_with_the_paper_at_trial_500_alone_and_has_a_median_only_of_several_seeds(drawn, tmp_path):
    words = texts(drawn["fig1c.svg"])
    (compared,) = [word for word in words if "paper" in word]
    assert re.fullmatch(r"mean of trials 481-500: 0\.\d{3}; paper: 0\.01", compared)
    assert any("mean of trials 481-500, median of 2 seeds: 0." in word for word in words)
    write_runs(tmp_path / "records", seeds=(0,), variants=["e_prop_1"])
    assert not any("median" in word for word in texts(draw("1c", tmp_path / "records", tmp_path / "out")))
