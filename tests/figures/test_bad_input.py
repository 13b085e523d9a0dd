import pytest

import paper_figures
from repro.errors import UserError
from repro.records.record import RECORD
from repro.records.store import run_folder
from repro.runs.registry import FIGURES, entries
from tasks.pattern_generation.config import TASK
from tests.figures.synthetic import write_runs


@pytest.fixture
def one_run(tmp_path):
    write_runs(tmp_path / "records", seeds=(0,), variants=["e_prop_1"])
    folder = run_folder(TASK.name, "e_prop_1", TASK.paper_hash("e_prop_1"), 0, tmp_path / "records")
    return tmp_path / "records", folder


def refused(where, out, panels=None, figure="fig1") -> str:
    with pytest.raises(UserError) as caught:
        paper_figures.draw(figure, where, panels, out)
    assert not out.exists()  # nothing half-written
    return str(caught.value)


def test_unknown_figure_and_panel(one_run, tmp_path):
    out = tmp_path / "out"
    assert refused(one_run[0], out, ["9z"]) == "unknown panel '9z' of fig1; known: 1c, 1d, 1e"
    known = ", ".join(entries(FIGURES))
    assert refused(one_run[0], out, figure="fig9") == f"unknown figure 'fig9'; did you mean fig4? known: {known}"
    paper_figures.draw("fig1", one_run[0], ["1d"], out)  # the same call with a name that exists
    assert out.exists()


def test_no_records_names_the_command(tmp_path):
    (tmp_path / "records").mkdir()
    assert "run: make fig1" in refused(tmp_path / "records", tmp_path / "out")


def test_values_of_no_profile_are_not_drawn(tmp_path):
    write_runs(tmp_path / "records", seeds=(0,), variants=["bptt"], overrides={"clock_rate_hz": "50"})
    assert "1 there, with values that no profile has" in refused(tmp_path / "records", tmp_path / "out")


def test_truncated_record(one_run, tmp_path):
    path = one_run[1] / RECORD
    path.write_bytes(path.read_bytes()[:200])
    assert f"{path} is not JSON that we wrote" in refused(one_run[0], tmp_path / "out")


def test_truncated_arrays(one_run, tmp_path):
    path = one_run[1] / "arrays.npz"
    path.write_bytes(path.read_bytes()[:-1])
    assert str(path) in refused(one_run[0], tmp_path / "out")


def test_folder_that_cannot_be_written(one_run, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot write figures to" in refused(one_run[0], tmp_path / "file" / "out", ["1d"])
