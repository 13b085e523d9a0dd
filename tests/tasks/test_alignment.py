"""The alignment of feedback and readout weights before training is that of the matrices that a run uses."""

import dataclasses

import numpy as np
import pytest

from repro.runs.registry import get_task
from repro.runs.rules import learning_rules
from tasks.store_recall.alignment import as_built
from tasks.store_recall.config import TASK
from tasks.store_recall.module import StoreRecallModule

CONFIG = TASK.resolve("e_prop_1", "paper", {"n_lif": "40", "n_alif": "40"})


def of_a_run(seed: int) -> float:
    """By the callback that a run's Trainer calls, and numpy."""
    module = StoreRecallModule(CONFIG, seed)
    (callback,) = learning_rules(CONFIG, seed)
    callback.setup(None, module, "fit")
    readout = module.network.readout
    b, w_out = readout.feedback_weights(1)[0].numpy(), readout.w_out.detach().numpy()
    ours, theirs = b[:, 1] - b[:, 0], w_out[1] - w_out[0]
    return float(ours @ theirs / np.sqrt((ours @ ours) * (theirs @ theirs)))


def test_it_is_that_of_the_matrices_of_a_run() -> None:
    by_seed = {seed: as_built(CONFIG, seed)["alignment"] for seed in (3, 4)}
    assert by_seed == pytest.approx({seed: of_a_run(seed) for seed in (3, 4)}, abs=1e-6)
    assert abs(by_seed[3] - by_seed[4]) > 1e-3  # control: another seed has another matrix


def test_symmetric_feedback_is_aligned_and_random_feedback_is_not() -> None:
    assert as_built(dataclasses.replace(CONFIG, feedback="symmetric"), 3)["alignment"] == pytest.approx(1)
    assert abs(as_built(CONFIG, 3)["alignment"]) < 0.5


def test_the_task_names_it() -> None:
    assert get_task("store_recall").load("as_built") is as_built
