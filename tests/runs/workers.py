"""What the processes of these tests do; imported before they are forked."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import repro.runs.result as outcome
import repro.runs.run as running
import tasks.pattern_generation.module  # noqa: F401  for the process server: nothing is left to import
from repro.errors import RunFailed, UserError
from repro.records.record import RECORD
from repro.runs.checkpoints import LAST, AtomicCheckpoints
from repro.runs.recorder import Recorder
from tasks.pattern_generation.config import TASK


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
    "with arrays and no record": lambda: _before(Path, "replace", lambda _, target: Path(target).name == RECORD),
}
