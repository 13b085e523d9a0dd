"""Records drawn once and looked at by many tests, in coarse PNGs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import paper_figures
from repro import drawing
from tests.figures.synthetic import write_runs

COARSE = 30  # dots per inch: at a user's 300 the PNGs are most of what drawing takes
OF_USERS = drawing.RC["savefig.dpi"]


@pytest.fixture(scope="package", autouse=True)
def coarse() -> Iterator[None]:
    """Tests of figures draw coarse PNGs; an SVG is the same at any resolution, but for the images in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(drawing.RC, "savefig.dpi", COARSE)
        yield


@pytest.fixture
def fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As users draw."""
    monkeypatch.setitem(drawing.RC, "savefig.dpi", OF_USERS)


@pytest.fixture(scope="package")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of all nine variants at the paper's size."""
    where = tmp_path_factory.mktemp("records")
    write_runs(where, seeds=(0, 1))
    return where


@pytest.fixture(scope="package")
def drawn(records: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All files of figure 1, name -> bytes."""
    files = paper_figures.draw("fig1", records, None, tmp_path_factory.mktemp("figures"))
    return {path.name: path.read_bytes() for path in files}
