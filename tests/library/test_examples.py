"""The examples run as they stand. tests/documents runs the blocks of the pages."""

import os
import re
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.scripts import run_python

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
LINES_OF_OWN_TASK = 25


def run(processes: ForkServerContext, script: Path, folder: Path) -> str:
    """What a script prints in a folder."""
    ended = run_python(processes, str(script), folder=folder, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(processes: ForkServerContext, name: str, tmp_path: Path) -> None:
    printed = run(processes, ROOT / "examples" / name, tmp_path)
    if name == "gradient_check.py":
        hand, bptt, between = (float(line.split()[-1]) for line in printed.splitlines())
        assert max(hand, bptt) < 1e-12
        assert between > 0.1  # control: e-prop 1 is not BPTT


def test_a_task_of_your_own_takes_25_lines() -> None:
    text = (ROOT / "examples/own_task.py").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith('"""')]
    assert len(lines) <= LINES_OF_OWN_TASK
    assert not re.search(r"\btasks\b|\brepro\.(?!eprop)", text)


def test_the_library_imports_torch_only_when_it_is_used() -> None:
    script = "import sys, repro.eprop; sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60).returncode == 0


def test_every_name_of_the_library_is_there() -> None:
    import repro.eprop

    assert set(repro.eprop.__all__) == set(dir(repro.eprop))
    assert all(getattr(repro.eprop, name) is not None for name in repro.eprop.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Lif'"):
        repro.eprop.Lif  # noqa: B018
