"""The dashboard's definition: built without network."""

from typing import Any

import pytest

from repro.cli.main import main
from repro.cli.publish import sections
from repro.errors import UserError
from repro.records import dashboard
from repro.runs.registry import all_tasks

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style")  # of wandb-workspaces


@pytest.fixture(scope="module")
def blocks() -> list[Any]:
    pytest.importorskip("wandb_workspaces", reason="in the development lock: `make` installs it")
    return list(dashboard.build("us", "ours", "quick", sections([])).blocks)


def of(blocks: list[Any], kind: str) -> list[Any]:
    return [block for block in blocks if type(block).__name__ == kind]


def test_a_section_a_figure(blocks: list[Any]) -> None:
    assert [block.text for block in of(blocks, "H1")] == ["fig1", "fig2", "fig3", "fig4", "theory"]
    assert {block.text for block in of(blocks, "H2")} == {task.name for task in all_tasks()}


def test_a_grid_has_the_runs_of_its_task_and_profile(blocks: list[Any]) -> None:
    runsets = {grid.runsets[0].filters for grid in of(blocks, "PanelGrid")}
    assert runsets == {f"Config('task') = '{task.name}' and Config('profile') = 'quick'" for task in all_tasks()}
    assert {(grid.runsets[0].entity, grid.runsets[0].project) for grid in of(blocks, "PanelGrid")} == {("us", "ours")}


def test_curves_are_grouped_by_variant_with_seeds_as_a_band(blocks: list[Any]) -> None:
    panels = [panel for grid in of(blocks, "PanelGrid") for panel in grid.panels]
    lines = [panel for panel in panels if type(panel).__name__ == "LinePlot"]
    assert len(lines) == sum(len(task.curves) for task in all_tasks()) > 15
    assert {str(line.x) for line in lines} == {"iteration"}
    assert all(str(line.y[0]).startswith("series/") for line in lines)
    for panel in panels:
        assert (panel.groupby.name, panel.groupby_aggfunc, panel.groupby_rangefunc) == ("variant", "mean", "stderr")
    places = [[(p.layout.x, p.layout.y) for p in grid.panels] for grid in of(blocks, "PanelGrid")]
    assert all(len(set(grid)) == len(grid) for grid in places), "panels on top of each other"


def test_a_figure_that_is_named_is_the_only_one() -> None:
    assert set(sections(["fig2"])) == {"fig2"}
    assert [part.task for part in sections(["fig2"])["fig2"]] == ["store_recall", "speech"]


def test_control_a_task_without_curves_has_bars_alone() -> None:
    pytest.importorskip("wandb_workspaces")
    part = dashboard.Part("t", "about", (), "error")
    (grid,) = of(dashboard.build("us", "ours", "quick", {"f": [part]}).blocks, "PanelGrid")
    assert [type(panel).__name__ for panel in grid.panels] == ["BarPlot"]


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.name)
def test_the_curves_are_series_of_the_accepted_records(task: Any) -> None:
    import numpy as np

    from repro.records import store

    folders = store.record_folders("accepted", task.name)
    series = {name for folder in folders for name in np.load(folder / "arrays.npz").files}
    assert set(task.curves) <= series
    assert bool(task.curves) == (not task.measure)


def test_without_network_the_dashboard_is_not_made(
    offline: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offline.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    offline.setenv("WANDB_API_KEY", "a" * 40)
    offline.setattr(dashboard, "SECONDS", 1)
    assert main(["publish", "--dashboard"]) == 2
    assert "a W&B server, which did not answer" in capsys.readouterr().err


def test_a_server_that_refuses() -> None:
    class Refuses:
        def save(self) -> None:
            raise Exception("not logged in")

    with pytest.raises(UserError, match="the dashboard was not created: not logged in"):
        dashboard.save(Refuses())
