"""What a run records of the libraries that computed it, and what it lets torch see."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from repro.cli.main import main
from repro.eprop.kernels import products
from repro.records.record import read_record
from repro.runs.bootstrap import hidden_gpus
from repro.runs.run import run
from tasks import get_task

VISIBLE = "CUDA_VISIBLE_DEVICES"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    products._onednn.cache_clear()
    yield
    products._onednn.cache_clear()


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_a_record_has_the_library_of_products(onednn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where oneDNN is left out, with which a run trains as well."""
    monkeypatch.setenv("REPRO_ONEDNN", onednn)
    assert main(["run", "copy_repeat", "--variant", "bptt_4", "--profile", "smoke", "--out", str(tmp_path)]) == 0
    (path,) = tmp_path.rglob("record.json")
    record = read_record(path.parent)
    assert record.status == "finished"
    others = "MKL" if torch.backends.mkl.is_available() else "BLAS"
    assert record.extras["matrix_library"] in ([others] if onednn == "0" else ["oneDNN", others])


class Looks(pl.Callback):
    """Notes which GPUs are visible in training."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.seen.append(os.environ.get(VISIBLE))


@pytest.mark.parametrize("before", [None, "3"])
def test_no_gpu_is_visible_to_a_run_on_the_cpu(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    if before is not None:
        monkeypatch.setenv(VISIBLE, before)
    looks = Looks()
    run(get_task("copy_repeat"), "bptt_4", "smoke", 0, {}, tmp_path, callbacks=[looks])
    assert set(looks.seen) == {""}
    assert os.environ.get(VISIBLE) == before
    with hidden_gpus("cuda"):
        assert os.environ.get(VISIBLE) == before  # control
