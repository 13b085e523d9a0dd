"""Problems that take milliseconds."""

from benchmarks.problem import Problem
from benchmarks.windows import problem_of

SIZES = {
    "pattern_generation": {"n_rec": 40, "trial_ms": 50},
    "store_recall": {"n_lif": 5, "n_alif": 5, "trial_ms": 240, "period_ms": 20, "batch_size": 3},
    "speech": {"n_lif": 5, "n_alif": 5, "batch_size": 3, "frames": 24},
    "arm_reaching": {"n_rec": 20, "n_module": 15, "trial_ms": 80, "batch_size": 3},
    "copy_repeat": {"units": 12, "batch_size": 3},
    "word_prediction": {"vocabulary": 30, "units": 12, "batch_size": 3},
}


def tiny(task: str) -> Problem:
    """A task in its tiny size."""
    return problem_of(task, SIZES[task], settle=2)
