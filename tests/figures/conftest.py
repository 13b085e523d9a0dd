"""Records drawn once and looked at by many tests."""

from pathlib import Path

import pytest

import paper_figures
from tests.figures.synthetic import write_runs


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of all nine variants at the paper's size."""
    where = tmp_path_factory.mktemp("records")
    write_runs(where, seeds=(0, 1))
    return where


@pytest.fixture(scope="session")
def drawn(records: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All files of figure 1, name -> bytes."""
    files = paper_figures.draw("fig1", records, None, tmp_path_factory.mktemp("figures"))
    return {path.name: path.read_bytes() for path in files}
