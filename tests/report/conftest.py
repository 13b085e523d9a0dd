"""Reports that are written once and read by many tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from repro import drawing
from repro.cli.main import main
from tests.figures.synthetic import write_runs


@pytest.fixture(scope="package", autouse=True)
def coarse() -> Iterator[None]:
    """Figures are drawn coarsely: their PNGs are most of what a report takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(drawing.RC, "savefig.dpi", 30)
        yield


@pytest.fixture(scope="package")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the accepted records."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    assert main(["report", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="package")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seeds of the nine bars of figure 1, at the paper's size; of other figures nothing."""
    where = tmp_path_factory.mktemp("records")
    write_runs(where, seeds=range(8))
    return where


@pytest.fixture(scope="package")
def made_up(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of these."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    assert main(["report", "--records", str(records), "--out", str(out)]) == 0
    return out
