"""What one job of Slurm does: it works at a queue, and asks for another turn where it had to stop before the end.

Slurm sends a signal before a time limit, and SIGTERM when it takes the node away. Either makes the command checkpoint
its runs and leave with the status "unfinished". Only then is the job requeued, and only where Slurm does not do so
itself: a job that the user has cancelled stays cancelled.
"""

import dataclasses
import os
import signal
import subprocess
import sys
from types import FrameType

from repro.errors import UNFINISHED
from repro.jobs.processes import repro

WARNINGS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@dataclasses.dataclass(frozen=True)
class Work:
    """The command `repro WORDS`, in a job. submitit pickles it, and calls it on the node."""

    words: tuple[str, ...]

    def __call__(self) -> None:
        """Raises SystemExit with the command's exit status, unless that is 0."""
        process = subprocess.Popen(repro(*self.words))

        def forward(signum: int, frame: FrameType | None) -> None:
            process.send_signal(signal.SIGTERM)

        for number in WARNINGS:
            signal.signal(number, forward)
        status = process.wait()
        if status == UNFINISHED:
            requeue()
        if status:
            sys.exit(status)


def requeue() -> None:
    """Ask Slurm to start this job again, if it is still running: else Slurm has decided on it already."""
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:  # one task of an array has the number of the whole
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    state = subprocess.run(["squeue", "--noheader", "--format=%T", f"--jobs={job}"], capture_output=True, text=True)
    if state.stdout.strip() == "RUNNING":
        print(f"job {job} is requeued: runs are left", flush=True)
        subprocess.run(["scontrol", "requeue", job], check=False)
