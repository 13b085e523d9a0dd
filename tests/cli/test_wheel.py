"""The wheel, installed in a folder of its own: the library works, and results go to the current folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repro.records.store import CHECKOUT

BUILT = ("repro", "tasks", "paper_figures", "pyproject.toml", "README.md", "LICENSE")
LIBRARY = """
import torch
from repro.eprop import LIF, EProp, Readout, RecurrentLayer, SpikingNetwork
layer, readout = RecurrentLayer(LIF(), n_in=3, n=5, rule=EProp()), Readout(5, 2, tau_out_ms=20, feedback="random")
network = SpikingNetwork(layer, readout)
y, z = network(torch.rand(2, 50, 3))
y.square().sum().backward()
print(sum(parameter.grad is not None for parameter in network.parameters()), "gradients")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's packages; nothing else of the checkout."""
    source, wheels, site = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site"))
    for name in BUILT:
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copyfile
        copy(CHECKOUT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(wheels), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True)
    return site


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path


def python(site: Path, here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python with the wheel before all other packages, in a folder without a checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "REPRO_RESULTS"}
    env = kept | {"PYTHONPATH": str(site), "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    env["XDG_CACHE_HOME"] = str(site.parent / "cache")  # for numba's machine code
    return subprocess.run([sys.executable, *words], cwd=here, env=env, capture_output=True, text=True, check=False)


def files(folder: Path) -> set[Path]:
    """All files but Python's own of compiled modules, which pip makes and removes."""
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_the_wheel_is_what_is_imported(site: Path, here: Path) -> None:
    done = python(site, here, "-c", "import repro, tasks, paper_figures; print(repro.__file__, tasks.__file__)")
    assert done.stdout.split() == [str(site / "repro" / "__init__.py"), str(site / "tasks" / "__init__.py")], (
        done.stderr
    )


def test_the_library(site: Path, here: Path) -> None:
    before = files(site)
    done = python(site, here, "-c", LIBRARY)
    assert done.stdout.strip().endswith("gradients") and done.stdout[0] in "345", done.stderr
    assert not files(here)
    assert files(site) == before  # machine code neither


def test_data_and_types_are_in_the_wheel(site: Path) -> None:
    for name in (
        "paper_figures/claims.toml",
        "paper_figures/holds_in.json",
        "paper_figures/panels.toml",
        "repro/report/page.html",
        "repro/report/style.css",
        "tasks/speech/timit_speakers.toml",
        "repro/py.typed",
    ):
        assert (site / name).read_bytes() == (CHECKOUT / name).read_bytes()


def test_results_go_to_the_current_folder(site: Path, here: Path) -> None:
    before = files(site)
    line = "run pattern_generation --variant e_prop_1 --profile smoke --set iterations=2"
    done = python(site, here, "-m", "repro", *line.split())
    assert done.returncode == 0, done.stderr
    assert "(results/runs/pattern_generation/e_prop_1-" in done.stdout
    assert {path.relative_to(here).parts[0] for path in files(here)} == {"results"}
    assert list((here / "results" / "runs").glob("pattern_generation/e_prop_1-*/seed-0/record.json"))
    assert files(site) == before


@pytest.mark.parametrize(
    ("line", "status", "printed"),
    [
        ("list tasks", 0, "store_recall"),
        ("list claims", 0, "1d-eprop1"),
        ("runs", 0, "no runs in results/runs yet"),
        ("check --figure fig1", 0, "not run"),
        ("sweep store_recall_threshold", 2, "no sweeps/ here"),
        ("bench", 2, "run `repro bench` in a clone"),
        ("figures fig1", 2, "no records"),
    ],
)
def test_commands(site: Path, here: Path, line: str, status: int, printed: str) -> None:
    before = files(site)
    done = python(site, here, "-m", "repro", *line.split())
    assert done.returncode == status, done.stderr
    assert printed in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert files(site) == before and not files(here)
