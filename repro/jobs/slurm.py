"""Jobs of Slurm that work a queue off, submitted through submitit."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.errors import UserError
from repro.jobs.slurm_job import Work

WARNING_SECONDS = 120  # between the signal and the time limit; Slurm may send it a minute earlier


@dataclasses.dataclass(frozen=True)
class Allocation:
    """What is asked of Slurm: `array` jobs, each with a core for each of `workers`, and `memory` in GB for all of them.

    After `minutes` a job is requeued. `options` are those of sbatch by their long names, such as {"partition": "gpu"}.
    """

    array: int
    workers: int
    memory: float
    minutes: int
    options: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Submission:
    """Jobs that call `repro WORK`, and then one that calls `repro LAST`.

    submitit's files and the logs are kept in `folder`, which all nodes must see.
    """

    name: str
    work: tuple[str, ...]
    last: tuple[str, ...]
    wanted: Allocation
    folder: Path

    def submit(self) -> tuple[str, str]:
        """The numbers of the array and of the last job. Raises UserError where Slurm refuses."""
        with _as_sentence():
            jobs = self._executor(self.wanted).map_array(Work.__call__, [Work(self.work)] * self.wanted.array)
            array = jobs[0].job_id.partition("_")[0]
            one = dataclasses.replace(self.wanted, array=1, workers=1, memory=self.wanted.memory / self.wanted.workers)
            last = self._executor(one, {"dependency": f"afterany:{array}"}).submit(Work(self.last))
        return array, last.job_id

    def script(self) -> str:
        """The script of the array, as sbatch would get it."""
        executor = self._executor(self.wanted)
        if self.wanted.array > 1:
            executor.parameters["map_count"] = self.wanted.array
        return str(executor._make_submission_file_text(executor._submitit_command_str, ""))

    def _executor(self, wanted: Allocation, more: Mapping[str, str] | None = None) -> Any:
        from submitit import SlurmExecutor

        # submitit wants an srun even for a script that is only printed; where it is submitted, sbatch is there
        executor = type("Executor", (SlurmExecutor,), {"affinity": classmethod(lambda cls: 1)})(self.folder)
        executor.update_parameters(
            job_name=f"repro-{self.name}",
            time=wanted.minutes,
            cpus_per_task=wanted.workers,
            mem=f"{wanted.memory * 1024:.0f}MB",
            array_parallelism=wanted.array,
            stderr_to_stdout=True,
            wckey=None,
            # A requeued job appends to its log. Since 22.05 srun does not take the cores from sbatch.
            srun_args=["--open-mode=append", f"--cpus-per-task={wanted.workers}"],
            additional_parameters={
                **{"ntasks": 1, "requeue": True, "signal": f"USR1@{WARNING_SECONDS}"},
                **wanted.options,
                **(more or {}),
            },
        )
        return executor


@contextlib.contextmanager
def _as_sentence() -> Iterator[None]:
    """What submitit raises when sbatch refuses."""
    import submitit.core.utils

    try:
        yield
    except submitit.core.utils.FailedJobError as error:
        lines = [line for line in str(error).splitlines() if "error" in line.lower()]
        raise UserError(f"Slurm refuses: {(lines or str(error).splitlines())[-1].strip()}") from None
