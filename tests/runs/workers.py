"""What the processes of these tests do; imported before they are forked."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import repro.records.record as record
import repro.rules.callback as callback
import repro.runs.result as outcome
import repro.runs.run as running
import tasks.pattern_generation.module  # noqa: F401  for the process server: nothing is left to import
from repro.errors import RunFailed, UserError
from repro.records.record import RECORD
from repro.runs.checkpoints import LAST, AtomicCheckpoints
from repro.runs.recorder import Recorder
from tasks.pattern_generation.config import TASK
from tests.runs.pair import meet
from tests.runs.small import fit, small, trial, weights

SHARED: dict[
    str, tuple[dict[str, Any], dict[str, Any], int]
] = {  # name -> config, options of the Trainer, micro-batches an update
    "eprop": ({}, {"strategy": "ddp"}, 1),
    "bptt": ({"algorithm": "bptt"}, {"strategy": "ddp"}, 1),
    "online": ({"evaluator": "online"}, {"strategy": "ddp"}, 1),
    "unused parameters looked for": ({}, {"strategy": "ddp_find_unused_parameters_true"}, 1),
    "no recurrence": ({"recurrent": False}, {"strategy": "ddp"}, 1),
    "accumulation": ({}, {"strategy": "ddp"}, 2),
    "clipping": ({}, {"strategy": "ddp", "gradient_clip_val": 0.3}, 1),
    "each process its own rates": ({}, {"strategy": "ddp"}, 1),
}
UPDATES = 4


def share(rank: int, port: int, folder: Path) -> None:
    """One of two processes that train together, in each way of SHARED; saves the weights."""
    meet(rank, port)
    for name, (settings, options, micro_batches) in SHARED.items():
        together = callback._mean_over_processes
        if name == "each process its own rates":
            callback._mean_over_processes = lambda rates: rates
        batches = [trial(2 * index + rank) for index in range(UPDATES * micro_batches)]
        module = fit(small(**settings), batches, devices=2, accumulate_grad_batches=micro_batches, **options)
        callback._mean_over_processes = together
        torch.save(weights(module), folder / f"{name}-{rank}.pt")


def train(out: Path, settings: Mapping[str, str], moment: str = "") -> None:
    """Train the smoke profile of e-prop 1 into `out`; die at a moment, or exit as the command line would."""
    if moment:
        MOMENTS[moment]()
    try:
        running.run(TASK, "e_prop_1", "smoke", 0, settings, out)
    except (UserError, RunFailed) as error:
        print(error, file=sys.stderr)
        os._exit(2 if isinstance(error, UserError) else 1)
    except BaseException:
        traceback.print_exc()
        os._exit(70)


def die() -> None:
    """As by `kill -9`: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str, doomed: Callable[..., bool]) -> None:
    """Die instead of the first call of `owner.name` that is doomed."""
    original = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        if doomed(*args):
            die()
        return original(*args, **kwargs)

    setattr(owner, name, replaced)


def _in_iteration(number: int) -> Callable[[], None]:
    def doomed(recorder: Recorder, *_: Any) -> bool:
        return len(recorder.series.get("loss", [])) == number - 1

    return lambda: _before(Recorder, "on_train_batch_end", doomed)


def _in_half_a_checkpoint() -> None:
    original = AtomicCheckpoints.save_checkpoint

    def halved(self: AtomicCheckpoints, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        if Path(path).exists():
            Path(f"{path}.part").write_bytes(b"half a checkpoint")
            die()
        original(self, checkpoint, path, storage_options)

    AtomicCheckpoints.save_checkpoint = halved  # type: ignore[method-assign]


def _before_placing(name: str) -> Callable[[], None]:
    return lambda: _before(Path, "replace", lambda _, target: Path(target).name == name and Path(target).exists())


MOMENTS = {
    "before the first checkpoint": _in_iteration(2),
    "in the middle": _in_iteration(23),
    "in the last iteration": _in_iteration(40),
    "in half a checkpoint": _in_half_a_checkpoint,
    "with a checkpoint not yet in place": _before_placing(LAST),
    "before the record": lambda: _before(outcome, "write_record", lambda *_: True),
    "with arrays and no record": lambda: _before(record, "write_atomically", lambda path, _: path.name == RECORD),
}
