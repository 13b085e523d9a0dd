"""The refractory period, in every task that has one and by every way to simulate: spike trains written out by hand.

"A refractory period of 5 ms" is read as in the authors' code: a counter r <- clip(r + 5 z - 1, 0), and silence while
r > 0. A neuron that spikes at 0 has r = 4, 3, 2, 1, 0 at 1 to 5 ms, so that it may spike again at 5 ms.
"""

from pathlib import Path

import pytest

from repro.training.run import run
from tasks import get_task
from tests.tasks.watching import SpikeTimes, Weights

STRONG = 10.0  # a current far above any threshold, in every step
EVERY_STEP = {"clock_rate_hz": "1000", "n_in": "5"}  # each group in its turn: one input spike in each step
SIZES = {
    "pattern_generation": {**EVERY_STEP, "n_rec": "2", "n_out": "1", "trial_ms": "20", "rate_cost": "0"},
    "store_recall": {"batch_size": "2", "trial_ms": "20", "period_ms": "10", "input_rate_hz": "900", "n_lif": "0"}
    | {"n_alif": "2"},  # a group of 25 inputs is active in each step, and each of them spikes with a chance of 0.9
    "arm_reaching": {**EVERY_STEP, "n_rec": "2", "batch_size": "2", "trial_ms": "20", "tested_tasks": "1"},
}
# (task, variant, settings): compiled kernels, the loop over steps that keeps no trajectory, and plain torch on the tape
WAYS = [
    ("pattern_generation", "e_prop_1", {}),
    ("pattern_generation", "bptt", {}),
    ("pattern_generation", "e_prop_1", {"evaluator": "online"}),
    ("pattern_generation", "e_prop_1", {"algorithm": "autograd"}),
    ("store_recall", "e_prop_1", {}),
    ("store_recall", "bptt", {}),
    ("store_recall", "e_prop_1", {"evaluator": "online"}),
    ("store_recall", "e_prop_1", {"algorithm": "autograd"}),
    ("arm_reaching", "no_inner_update", {}),
]
IDS = [" ".join([task, variant, *(f"{key}={value}" for key, value in extra.items())]) for task, variant, extra in WAYS]


def spike_times(
    folder: Path, task: str, variant: str, settings: dict[str, str], current: float = STRONG
) -> list[list[int]]:
    """When two neurons without recurrent weights spike, each given the current in each step."""
    watch = SpikeTimes()
    start = Weights({"network.w_in": current, "network.w_rec": 0.0})
    texts = {"iterations": "1"} | SIZES[task] | settings
    run(get_task(task), variant, "paper", 0, texts, out=folder, callbacks=[start, watch])
    return watch.times


@pytest.fixture(autouse=True)
def without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.mark.parametrize(("task", "variant", "settings"), WAYS, ids=IDS)
def test_spikes_are_no_closer_than_the_refractory_period(
    task: str, variant: str, settings: dict[str, str], tmp_path: Path
) -> None:
    assert spike_times(tmp_path / "five", task, variant, settings) == [[0, 5, 10, 15]] * 2
    two = spike_times(tmp_path / "two", task, variant, settings | {"refractory_ms": "2"})
    assert two == [list(range(0, 20, 2))] * 2
    none = spike_times(tmp_path / "none", task, variant, settings | {"refractory_ms": "0"})  # control
    assert none == [list(range(20))] * 2


@pytest.mark.parametrize("settings", [{}, {"algorithm": "autograd"}], ids=["compiled", "plain torch"])
def test_the_voltage_goes_on_while_a_neuron_is_refractory(settings: dict[str, str], tmp_path: Path) -> None:
    """A current of 0.3, v_th = 0.61, tau_m = 20 ms: by Eq. 20 with alpha = exp(-1 / 20) = 0.951229 the voltages are

    0.300, 0.585, 0.857 (a spike at 2 ms), 0.505 (after the reset), 0.780, 1.042, 1.292, 1.529 (the next, at 7 ms).

    Were the voltage held at its reset value until 7 ms, it would be above 0.61 two steps after that.
    """
    times = spike_times(tmp_path, "pattern_generation", "e_prop_1", settings, current=0.3)
    assert times == [[2, 7, 12, 17]] * 2
