"""A logger that does not work costs a line of warning, never a run."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger

from repro.records import wandb_run
from repro.runs.run import run
from repro.runs.series_mirror import RunLogger
from tasks.pattern_generation.config import TASK
from tests.library.own import trainer_of
from tests.records.mirrored import only_run, parts_of

SHORT = {"iterations": "3"}


def warnings(captured: Any) -> list[str]:
    return [line for line in captured.err.splitlines() if not line.startswith("iteration ")]


def finished(out: Path) -> bool:
    return run(TASK, "e_prop_1", "smoke", 0, SHORT, out).status == "finished"


def test_without_network_the_run_is_kept_on_disk(
    offline: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:  # a port on which nobody listens
        closed.bind(("127.0.0.1", 0))
        offline.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        offline.setenv("WANDB_API_KEY", "a" * 40)
        offline.setenv("WANDB_INIT_TIMEOUT", "1")
        offline.delenv("WANDB_MODE")  # with an account it is "online"
        assert finished(tmp_path)
    (line,) = warnings(capfd.readouterr())
    assert line.startswith("warning: W&B cannot be reached (")
    (sent,) = [part for part in parts_of(only_run(tmp_path)) if part.history]
    assert (sent.exit_code, len(sent.history)) == (0, 3)


def test_a_bad_mode(offline: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    offline.setenv("WANDB_MODE", "nonsense")
    assert finished(tmp_path)
    (line,) = warnings(capfd.readouterr())
    assert line.startswith("warning: no logging with wandb: ")
    assert not (only_run(tmp_path) / "wandb").exists()


def test_control_a_good_mode(offline: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert finished(tmp_path)
    assert warnings(capfd.readouterr()) == []
    assert len(parts_of(only_run(tmp_path))) == 1


def test_wandb_that_cannot_be_imported(
    offline: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ImportError("libcrypt.so.1: no such file\nand more")

    offline.setattr("wandb.setup", broken)
    assert finished(tmp_path)
    assert warnings(capfd.readouterr()) == ["warning: no logging with wandb: libcrypt.so.1: no such file"]


def test_disabled_is_silent(offline: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    offline.setenv("WANDB_MODE", "disabled")
    offline.setitem(sys.modules, "wandb", None)  # nor is it imported
    assert wandb_run.start(tmp_path, project="p") is None
    assert finished(tmp_path)
    assert warnings(capfd.readouterr()) == []


class FullDisk(CSVLogger):
    """Writes two rows, then the disk is full."""

    rows = 0

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.rows += 1
        if self.rows > 2:
            raise OSError(28, "No space left on device")
        super().log_metrics(metrics, step)


class Sends(pl.Callback):
    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.logger.log_metrics({"a": 1.0}, trainer.global_step)


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control: bare"])
def test_a_logger_that_fails_in_training(tmp_path: Path, capfd: pytest.CaptureFixture[str], guarded: bool) -> None:
    from tests.runs.small import loader, module_of, small, trial

    inner = FullDisk(tmp_path, name="", version="")
    logger = RunLogger("csv", inner) if guarded else inner
    trainer = trainer_of(Sends(), logger=logger)
    batches = loader([trial(index) for index in range(4)])
    if not guarded:
        with pytest.raises(OSError, match="No space left"):
            trainer.fit(module_of(small()), batches)
        return
    trainer.fit(module_of(small()), batches)
    assert trainer.global_step == 4
    lines = [line for line in warnings(capfd.readouterr()) if "csv" in line]
    assert lines == ["warning: no more logging with csv: [Errno 28] No space left on device"]
