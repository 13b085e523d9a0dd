"""Which runs are pinned: every variant of every task, and settings that no variant reaches."""

import dataclasses
from collections.abc import Mapping

from tasks import get_task

Settings = Mapping[str, str]
SEED = 0

# Close to the profile "smoke". Networks are small, but each parameter gets a gradient: `runs.measure` checks it.
SMALL: dict[str, dict[str, str]] = {
    "pattern_generation": {"n_rec": "30", "trial_ms": "150", "rate_cost": "0.002"},
    "store_recall": {"iterations": "8", "decode_fitted": "10", "decode_tested": "5", "trial_ms": "600"},
    "speech": {
        "train_utterances": "8",
        "validation_utterances": "2",
        "test_utterances": "2",
        "batch_size": "2",
        "epochs": "1",  # four iterations: utterances are long, and each step is one more where rounding may decide
        "evaluations": "2",
        "v_th": "1.5",
        "rate_cost": "0.01",
    },
    "arm_reaching": {"iterations": "8", "inner_learning_rate": "0.003"},
    "copy_repeat": {"iterations": "24", "synthetic_factor": "0.5"},
    "word_prediction": {
        "corpus": "text",
        "vocabulary": "20",
        "training_words": "410",
        "evaluated_words": "200",
        "iterations": "3",
        "full_epochs": "1",
        "init_scale": "0.6",
        "synthetic_factor": "0.5",
    },
    "theory": {},
}

# (variant, settings) of runs that are no variant of a figure.
OTHERS: dict[str, list[tuple[str, dict[str, str]]]] = {
    "pattern_generation": [
        ("e_prop_1", {"evaluator": "online"}),
        ("resampled_20ms", {"evaluator": "online"}),
        ("resampled_20ms", {"feedback_time": "slice"}),
        ("e_prop_1", {"target_scale": "raw", "readout_scale": "one"}),
        ("e_prop_1", {"task_loss": "mean", "batch_size": "2"}),
        ("e_prop_1", {"rate_loss": "sum_khz", "rate_cost": "20"}),
        ("e_prop_1", {"algorithm": "readout_only"}),
        ("e_prop_1", {"algorithm": "autograd"}),
        ("e_prop_1", {"trace": "presynaptic"}),
        ("e_prop_1", {"dampening": "0.5", "feedback_variance": "one"}),
        ("clopath", {"clopath_thresholds": "swapped"}),
        ("clopath", {"clopath_rectified": "false"}),
    ],
    "store_recall": [
        ("e_prop_1", {"states": "carried"}),
        ("e_prop_1", {"sequences": "free", "decay": "every"}),
        ("e_prop_1", {"evaluator": "online"}),
        ("e_prop_1", {"readout_scale": "one_minus_kappa", "task_loss": "period", "rate_cost": "0.01"}),
        ("e_prop_1", {"algorithm": "autograd"}),
        ("e_prop_1", {"trace": "presynaptic"}),
    ],
    "speech": [
        ("e_prop_1", {"readout_every": "frame", "task_loss": "mean", "scaling": "z_score"}),
        ("bptt", {"readout_every": "frame", "readout_scale": "one_minus_kappa"}),
        ("e_prop_1", {"trace": "truncated"}),
    ],
    "arm_reaching": [
        ("e_prop_2_spiking", {"target_input": "population", "target_neurons": "10", "omega_reading": "period"}),
        ("e_prop_2_spiking", {"task_loss": "sum", "motor_weight": "1", "rate_loss": "sum_hz", "rate_cost": "0.25"}),
        ("e_prop_2_linear", {"trace": "truncated", "readout_scale": "one_minus_kappa", "rate_trials": "training"}),
    ],
    "copy_repeat": [
        ("e_prop_3", {"squash": "true", "clip_norm": "1", "synthetic_error": "mean"}),
        ("e_prop_3", {"synthetic_into_network": "false", "truncation_steps": "3", "init_scale": "0.3"}),
    ],
    "word_prediction": [
        ("e_prop_3", {"boundary_at_input": "across", "clip_counts_synthetic": "false"}),
        ("e_prop_3", {"synthetic_learning_rate": "0.1", "forget_bias": "1"}),
    ],
    "theory": [("measured", {"squash": "true"})],
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One pinned run."""

    task: str
    variant: str
    extra: Settings

    @property
    def name(self) -> str:
        """The variant, and the settings that make this run another one: the run's name in its file."""
        return " ".join([self.variant, *(f"{key}={value}" for key, value in self.extra.items())])

    @property
    def settings(self) -> Settings:
        """The values as arguments of `--set`."""
        return {**SMALL[self.task], **self.extra}


def cases(task: str) -> list[Case]:
    """All pinned runs of a task."""
    plain = [Case(task, variant, {}) for variant in get_task(task).variants]
    return plain + [Case(task, variant, extra) for variant, extra in OTHERS[task]]
