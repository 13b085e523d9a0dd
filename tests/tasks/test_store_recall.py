"""Task 1.2: its trials, its loss, when it counts as solved, and a run that is interrupted."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from repro.errors import UserError
from repro.runs.run import run
from tasks.store_recall import example
from tasks.store_recall.config import TASK, StoreRecallConfig
from tasks.store_recall.data import RECALL, STORE, active_groups, poisson, schedule, trials
from tasks.store_recall.module import StoreRecallModule
from tasks.store_recall.record import is_solved, mean_delay, summary
from tests.tasks.watching import LearningRates

CONFIG = StoreRecallConfig()
SMALL = {"batch_size": 8, "trial_ms": 600, "period_ms": 100, "iterations": 6}


@pytest.fixture(autouse=True)
def without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


def small(**values: Any) -> StoreRecallConfig:
    return dataclasses.replace(CONFIG, **(SMALL | values))


def test_commands_in_every_period_want_an_even_number_of_them() -> None:
    with pytest.raises(UserError, match="command_probability=1 with sequences=complete: .* an even number of periods"):
        small(command_probability=1.0, trial_ms=500)
    plan = schedule(small(command_probability=1.0), 3, torch.Generator().manual_seed(1))  # control
    assert plan.store.sum() == plan.recall.sum() == 9
    small(command_probability=1.0, trial_ms=500, sequences="free")


def test_a_batch_without_a_recall_has_no_error_and_does_not_count() -> None:
    series = {"validation_error": [0.5, math.nan, 0.25], "rate_hz": [1.0, 1.0, 1.0]}
    assert summary(series, CONFIG)["error"] == 0.375
    series = {"validation_error": [math.nan, *[0.04] * 19, 0.5], "rate_hz": [1.0] * 21}
    assert summary(series, CONFIG)["iterations_mean_of_20"] == 19
    assert (
        summary({**series, "validation_error": [0.5, *[0.04] * 20]}, CONFIG)["iterations_mean_of_20"] == 20
    )  # control


def test_commands_alternate_and_recall_asks_for_the_last_stored_bit() -> None:
    plan = schedule(CONFIG, 500, torch.Generator().manual_seed(1))
    assert plan.value.shape == (500, 12)
    for value, store, recall, target in zip(*(series.tolist() for series in plan), strict=True):
        held: int | None = None
        for k in range(12):
            assert not (store[k] and recall[k])
            assert target[k] == (held if recall[k] else -1)
            if store[k]:
                assert held is None
                held = value[k]
            elif recall[k]:
                assert held is not None
                held = None
        assert held is None  # no STORE is left without its RECALL
        assert any(recall)


def test_trials_as_they_come_are_not_all_complete() -> None:
    plan = schedule(dataclasses.replace(CONFIG, sequences="free"), 500, torch.Generator().manual_seed(1))
    assert (plan.store.sum(dim=1) > plan.recall.sum(dim=1)).any()
    assert (~plan.recall.any(dim=1)).any()


@pytest.mark.parametrize("sequences", ["complete", "free"])
def test_the_mean_delay_leaves_out_a_store_that_no_recall_follows(sequences: str) -> None:
    plan = schedule(dataclasses.replace(CONFIG, sequences=sequences), 300, torch.Generator().manual_seed(5))
    delays = []
    for store, recall in zip(plan.store.tolist(), plan.recall.tolist(), strict=True):
        since = 0
        for period, (stores, recalls) in enumerate(zip(store, recall, strict=True)):
            since = period if stores else since
            delays += [period - since] if recalls else []
    assert mean_delay(plan) == pytest.approx(sum(delays) / len(delays))


def test_the_stated_delay_is_that_of_endless_trials_alone() -> None:
    """Mean delay D / p = 1.2 s (Results) where a trial never ends; about 0.7 s in twelve periods."""
    endless = dataclasses.replace(CONFIG, trial_ms=40_000, sequences="free")
    for config, wanted, tolerance in ((endless, 1.2, 0.06), (CONFIG, 0.7, 0.05)):
        plan = schedule(config, 100 if config is endless else 5000, torch.Generator().manual_seed(2))
        delays = [
            (k - last) * 0.2
            for store, recall in zip(plan.store.tolist(), plan.recall.tolist(), strict=True)
            for k in range(len(store))
            if recall[k]
            for last in [max(i for i in range(k) if store[i])]
        ]
        assert np.mean(delays) == pytest.approx(wanted, abs=tolerance)


def test_groups_of_channels_follow_the_schedule() -> None:
    plan = schedule(CONFIG, 50, torch.Generator().manual_seed(3))
    active = active_groups(plan)
    assert torch.equal(active[..., STORE], plan.store)
    assert torch.equal(active[..., RECALL], plan.recall)
    shown = active[..., :2].sum(dim=-1)
    assert torch.equal(shown == 0, plan.recall)  # value channels are silent while RECALL
    assert torch.equal(active[..., 1][~plan.recall], (plan.value == 1)[~plan.recall])


def test_spikes_are_poisson_in_active_channels_and_nowhere_else() -> None:
    plan = schedule(CONFIG, 64, torch.Generator().manual_seed(4))
    active = active_groups(plan)
    spikes = poisson(CONFIG, active, torch.Generator().manual_seed(5)).dense()
    by_group = spikes.unflatten(1, (12, 200)).unflatten(3, (4, 25)).permute(0, 1, 3, 2, 4)
    assert not by_group[~active].any()
    inside = by_group[active]  # [active group, step, channel]
    chance, places = 0.05, inside.numel()
    assert abs(float(inside.mean()) - chance) < 4 * math.sqrt(chance * (1 - chance) / places)
    for axis, lag in ((1, 1), (1, 2), (2, 1)):  # independent of the step before, and of the neighbour
        pairs = (
            inside.narrow(axis, 0, inside.shape[axis] - lag) * inside.narrow(axis, lag, inside.shape[axis] - lag)
        ).mean()
        assert abs(float(pairs) - chance**2) < 5 * chance / math.sqrt(places)
    assert abs(float(inside[:, 0].mean()) - chance) < 5 * math.sqrt(chance / inside[:, 0].numel())  # nor at the edge
    assert abs(float(inside[:, -1].mean()) - chance) < 5 * math.sqrt(chance / inside[:, -1].numel())


def test_a_batch_depends_on_seed_purpose_and_index_alone() -> None:
    one, again = trials(small(), 3, "training", 7), trials(small(), 3, "training", 7)
    assert torch.equal(one.inputs.channel, again.inputs.channel)
    assert torch.equal(one.inputs.start, again.inputs.start)
    for other in (
        trials(small(), 3, "training", 8),
        trials(small(), 3, "validation", 7),
        trials(small(), 4, "training", 7),
    ):
        assert not torch.equal(one.inputs.start, other.inputs.start)  # control


def module_and_batch(**values: Any) -> tuple[StoreRecallModule, Any]:
    config = small(**values)
    return StoreRecallModule(config, 0), trials(config, 0, "training", 0)


def test_the_loss_is_the_cross_entropy_of_the_recalls() -> None:
    module, batch = module_and_batch()
    readout = torch.randn(8, 600, 2, generator=torch.Generator().manual_seed(6))
    recalls = batch.schedule.recall.nonzero().tolist()
    losses, means = [], []
    for trial, k in recalls:
        wanted = batch.schedule.target[trial, k]
        period = readout[trial, 100 * k : 100 * (k + 1)]
        losses += [-torch.log_softmax(y, dim=0)[wanted] for y in period]
        means.append(-torch.log_softmax(period.mean(dim=0), dim=0)[wanted])
    assert module.loss_of(readout, batch) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)
    by_period, _ = module_and_batch(task_loss="period")
    assert by_period.loss_of(readout, batch) == pytest.approx(float(torch.stack(means).mean()), rel=1e-5)
    assert abs(float(torch.stack(means).mean() - torch.stack(losses).mean())) > 1e-2  # control
    of_trial, _ = module_and_batch(task_loss="per_ms_sum")
    assert of_trial.loss_of(readout, batch) == pytest.approx(float(torch.stack(losses).sum()) / len(readout), rel=1e-5)
    pieces = sum(float(module.loss_of(readout[:, t : t + 50], batch, t)) for t in range(0, 600, 50))
    assert pieces == pytest.approx(float(module.loss_of(readout, batch)), rel=1e-5)


def test_the_error_is_that_of_the_highest_mean_activation() -> None:
    module, batch = module_and_batch()
    target = batch.schedule.target.repeat_interleave(100, dim=1)
    right = torch.nn.functional.one_hot(target.clamp(min=0), 2).float()
    assert module.metrics(right, batch)["error"] == 0
    assert module.metrics(1 - right, batch)["error"] == 1  # control
    brief = right.clone()
    brief[:, ::100] = 10 * (1 - right[:, ::100])  # wrong for one ms of a hundred: the mean still decides
    assert module.metrics(brief, batch)["error"] == 0


def test_solved_by_one_batch_or_by_the_mean_of_twenty() -> None:
    errors = [0.5] * 10 + [0.04] + [0.06] * 5 + [0.03] * 30
    series = {"validation_error": np.array(errors), "rate_hz": np.ones(len(errors))}
    found = summary(series, CONFIG)
    assert found["iterations_one_batch"] == 10
    mean = [np.mean(errors[i - 19 : i + 1]) for i in range(19, len(errors))]
    assert found["iterations_mean_of_20"] == 19 + next(i for i, m in enumerate(mean) if m < 0.05)
    assert found["iterations"] == 10
    assert found["iterations_at_least"] == 0
    assert (found["iterations_one_batch_at_least"], found["iterations_mean_of_20_at_least"]) == (0, 0)
    once = summary(series | {"validation_error": np.array([0.5] * 30 + [0.04])}, CONFIG)
    assert (once["iterations_one_batch_at_least"], once["iterations_mean_of_20_at_least"]) == (0, 1)
    never = summary(series | {"validation_error": np.full(46, 0.2)}, CONFIG)
    assert (never["iterations"], never["iterations_at_least"]) == (46, 1)


def test_training_stops_when_solved_unless_the_config_says_otherwise() -> None:
    assert is_solved([0.9], small(solved_error=1.0))
    assert not is_solved([1.0], small(solved_error=1.0))
    assert not is_solved([0.9], small(solved_error=1.0, stop_when_solved=False))


def test_the_learning_rate_falls_to_three_tenths_once_after_100_iterations(tmp_path: Path) -> None:
    """0.01, "after 100 iterations decayed with a multiplicative factor of 0.3" (task 1.2): once, not every time."""
    short = {"batch_size": "2", "trial_ms": "10", "period_ms": "5", "iterations": "205", "stop_when_solved": "false"}
    rates = LearningRates()
    run(TASK, "e_prop_1", "paper", 0, short | {"input_rate_hz": "900"}, tmp_path, callbacks=[rates])
    assert rates.values == pytest.approx([0.01] * 100 + [0.003] * 105, rel=1e-12)
    again = LearningRates()  # control
    run(TASK, "e_prop_1", "paper", 0, short | {"input_rate_hz": "900", "decay": "every"}, tmp_path, callbacks=[again])
    assert again.values == pytest.approx([0.01] * 100 + [0.003] * 100 + [0.0009] * 5, rel=1e-12)


def test_a_solved_run_ends_early(tmp_path: Path) -> None:
    settings = {"solved_error": "1.0", "batch_size": "8", "iterations": "50"}
    metrics = run(TASK, "e_prop_1", "smoke", 0, settings, tmp_path).metrics
    assert metrics["iterations"] < 40
    assert metrics["iterations_at_least"] == 0


def test_carried_states_make_two_batches_one_long_trial() -> None:
    """The second batch begins where the first ended, and a checkpoint carries that on."""
    module, batch = module_and_batch(states="carried")
    module.step(batch)
    state = module.state
    assert state is not None
    layer: Any = module.network.layer
    after = layer.simulate(batch.inputs)[1]
    assert torch.equal(state.variables[1], after.variables[1])
    second, _ = module.simulate(batch)
    assert torch.equal(second, module.network(batch.inputs, after)[0])
    checkpoint: dict[str, Any] = {}
    module.state = state
    module.on_save_checkpoint(checkpoint)
    other, _ = module_and_batch(states="carried")
    other.on_load_checkpoint(checkpoint)
    held = other.state
    assert held is not None
    assert all(torch.equal(a, b) for a, b in zip((*held.variables, held.z), (*state.variables, state.z), strict=True))
    fresh, _ = module_and_batch()
    fresh.step(batch)
    assert fresh.state is None  # control


@pytest.mark.parametrize("variant", ["e_prop_1", "bptt", "e_prop_1_decoding"])
def test_an_interrupted_run_resumes_to_the_same_bits(variant: str, tmp_path: Path) -> None:
    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.global_step == 7:
                raise OSError("the disk is full")

    settings = {"iterations": "12", "states": "carried" if variant == "e_prop_1" else "reset"}
    whole = run(TASK, variant, "smoke", 0, settings, tmp_path / "whole")
    with pytest.raises(OSError, match="disk"):
        run(TASK, variant, "smoke", 0, settings, tmp_path / "cut", callbacks=[Stop()])
    resumed = run(TASK, variant, "smoke", 0, settings, tmp_path / "cut")
    assert resumed.weights_sha256 == whole.weights_sha256
    assert resumed.arrays_sha256 == whole.arrays_sha256
    assert resumed.metrics == whole.metrics
    if variant == "bptt":
        other = run(TASK, variant, "smoke", 1, settings, tmp_path / "whole")
        assert other.weights_sha256 != whole.weights_sha256  # control


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"period_ms": "500"}, "whole number of periods"),
        ({"trial_ms": "200"}, "whole number of periods"),
        ({"n_lif": "0", "n_alif": "0"}, "at least one neuron"),
        ({"n_lif": "20", "n_alif": "0", "decode": "true"}, "n_alif is at least 1"),
        ({"decode": "true"}, "wants stop_when_solved=false"),
        ({"trace": "clopath"}, "task 1.1"),
        ({"evaluator": "online", "task_loss": "period"}, "task_loss=per_ms"),
        ({"evaluator": "online", "states": "carried"}, "states=reset"),
        ({"algorithm": "bptt", "trace": "truncated"}, "no eligibility trace"),
        ({"command_probability": "0"}, "lies between"),
        ({"task_loss": "per_second"}, "is one of"),
    ],
)
def test_values_that_do_not_go_together_are_refused(settings: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        run(TASK, "e_prop_1", "paper", 0, settings, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [0, 3])
def test_the_recorded_trial_asks_for_both_bits(seed: int) -> None:
    shown = example.arrays(StoreRecallModule(dataclasses.replace(CONFIG, batch_size=16), seed))
    assert {0, 1} < set(shown["example_target"].tolist())
    one_recall = dataclasses.replace(CONFIG, batch_size=4, trial_ms=400)  # a STORE and a RECALL: no room for two bits
    most = example.arrays(StoreRecallModule(one_recall, seed))
    assert len({0, 1} & set(most["example_target"].tolist())) == 1
