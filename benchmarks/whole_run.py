"""One run of the command line's `repro run` in this process, with the CPU seconds [s] that its stages ended at.

`python -m benchmarks.whole_run TASK VARIANT PROFILE FOLDER [KEY=VALUE ...]` prints them as the last line of output.
"""

import json
import sys
import time
from pathlib import Path

STAGES = ("imports", "data and network", "first iteration", "training", "evaluation and record")


def main() -> None:
    """Train, and print when each of STAGES ended."""
    task_name, variant, profile, folder, *settings = sys.argv[1:]
    import pytorch_lightning as pl

    from repro.cli.arguments import parse_settings
    from repro.runs.registry import get_task
    from repro.runs.run import run

    task = get_task(task_name)
    for part in ("data", "module", "summary"):
        task.load(part)
    ended = [time.process_time()]

    class Stages(pl.Callback):
        """Marks the ends of the stages between."""

        def on_train_start(self, *_: object) -> None:
            """Data, network and Trainer are there."""
            ended.append(time.process_time())

        def on_train_batch_end(self, *_: object) -> None:
            """The first has compiled or loaded kernels."""
            if len(ended) == 2:
                ended.append(time.process_time())

        def on_train_end(self, *_: object) -> None:
            """The last iteration is over."""
            ended.append(time.process_time())

    run(task, variant, profile, 0, parse_settings(settings), Path(folder), callbacks=[Stages()])
    print(json.dumps([*ended, time.process_time()]))


if __name__ == "__main__":
    main()
