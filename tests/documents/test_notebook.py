"""The tutorial runs from top to bottom, and its outputs are those of such a run."""

import json
import os
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from tests.documents.blocks import ROOT
from tests.scripts import run_python

NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))


def cells(notebook: Path) -> list[dict[str, Any]]:
    """The cells of code."""
    read = json.loads(notebook.read_text(encoding="utf-8"))
    return [cell for cell in read["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_the_code_runs(notebook: Path, processes: ForkServerContext, tmp_path: Path) -> None:
    code = "\n\n".join("".join(cell["source"]) for cell in cells(notebook))
    (tmp_path / "code.py").write_text(code, encoding="utf-8")
    env = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    ended = run_python(processes, str(tmp_path / "code.py"), folder=tmp_path, env=env)
    assert ended.returncode == 0, ended.stderr
    before, after = (float(ended.stdout.split(word)[0].split()[-1]) for word in (" before", " after"))
    assert after < 0.1 < before  # the network has learned; before that it had not


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_the_outputs_are_of_one_run_without_errors(notebook: Path) -> None:
    assert [cell["execution_count"] for cell in cells(notebook)] == [*range(1, len(cells(notebook)) + 1)]
    outputs = [output for cell in cells(notebook) for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "display_data"}
    assert not any(output.get("name") == "stderr" for output in outputs)
