"""Which configs are at the paper's scale, and which of them go together."""

import dataclasses

import pandas as pd
import pytest

from repro.runs.config import config_hash
from repro.runs.registry import get_task
from repro.runs.scale import paper_hashes
from repro.runs.sizes import choose

RECALL, PATTERN, THEORY = get_task("store_recall"), get_task("pattern_generation"), get_task("theory")


def runs(task, *rows: tuple[str, dict[str, str]], status: str = "finished", seeds: int = 1) -> pd.DataFrame:
    """Rows of records of variants with some values set, as repro.records.frames.load(config="all") returns them."""
    made = []
    for variant, settings in rows:
        config = task.resolve(variant, "paper", settings, data={})
        keys = {f"config.{key}": value for key, value in dataclasses.asdict(config).items()}
        row = {"task": task.name, "variant": variant, "config_hash": config_hash(config), "status": status}
        made += [row | keys | {"seed": seed} for seed in range(seeds)]
    return pd.DataFrame(made)


def hashes(task, *rows: tuple[str, dict[str, str]]) -> set[str]:
    return set(runs(task, *rows).config_hash)


def at_scale(task, variant: str, settings: dict[str, str]) -> bool:
    """Whether such a run counts where there is no other."""
    return hashes(task, (variant, settings)) <= set(paper_hashes(task, runs(task, (variant, settings)))[variant])


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({}, True),
        ({"tau_out_ms": "20"}, True),  # a listed reading
        ({"states": "carried", "task_loss": "period"}, True),
        ({"iterations": "500"}, True),  # where the run is given up
        ({"tau_out_ms": "25"}, False),  # in no list
        ({"batch_size": "64"}, False),  # printed
        ({"decay": "every"}, False),
        ({"readout_scale": "one_minus_kappa"}, False),
        ({"rate_cost": "1"}, False),
    ],
)
def test_printed_values_are_the_paper_s_and_open_ones_are_listed(settings, counts):
    assert at_scale(RECALL, "e_prop_1", settings) == counts


def test_a_variant_is_what_makes_it():
    assert not at_scale(RECALL, "e_prop_1_decoding", {"iterations": "500"})  # it is decoded after 200
    assert not at_scale(RECALL, "lif_only_bptt", {"n_alif": "1"})
    assert at_scale(RECALL, "lif_only_bptt", {"iterations": "500"})


def test_what_is_a_size_of_ours_is_no_reading():
    assert at_scale(THEORY, "measured", {}) and not at_scale(THEORY, "measured", {"n_rec": "8"})


def test_one_reading_serves_all_variants():
    other = {"states": "carried"}
    mixed = runs(RECALL, ("bptt", {}), ("e_prop_1", other), ("bptt", other))
    assert paper_hashes(RECALL, mixed)["e_prop_1"] == (RECALL.paper_hash("e_prop_1"),)
    assert paper_hashes(RECALL, mixed)["bptt"] == (RECALL.paper_hash("bptt"),)
    alone = runs(RECALL, ("e_prop_1", other), ("bptt", other))
    assert set(paper_hashes(RECALL, alone)["bptt"]) == hashes(RECALL, ("bptt", other))
    assert paper_hashes(RECALL, alone)["truncated_traces"] == ()


def test_the_chosen_reading_yields_to_one_with_results_alone():
    other = {"states": "carried"}
    begun = pd.concat([runs(RECALL, ("bptt", {}), status="unfinished"), runs(RECALL, ("bptt", other))])
    assert set(paper_hashes(RECALL, begun)["bptt"]) == hashes(RECALL, ("bptt", other))
    assert paper_hashes(RECALL, begun.assign(status="finished"))["bptt"] == (RECALL.paper_hash("bptt"),)  # control


def test_runs_of_several_lengths_go_together_and_of_one_seed_the_longest_counts():
    both = runs(RECALL, ("bptt", {"iterations": "500"}), ("bptt", {}), ("bptt", {"iterations": "4000"}), seeds=2)
    ordered = paper_hashes(RECALL, both)["bptt"]
    assert ordered[0] == RECALL.paper_hash("bptt") and len(ordered) == 3
    size, rows = choose(RECALL, both)
    assert not size.stamp and sorted(zip(rows.seed, rows["config.iterations"], strict=True)) == [(0, 2000), (1, 2000)]
    longer = both[both["config.iterations"] != 2000]
    _, rows = choose(RECALL, longer)
    assert sorted(zip(rows.seed, rows["config.iterations"], strict=True)) == [(0, 4000), (1, 4000)]


def test_a_run_that_ended_counts_before_a_longer_one_that_has_not():
    ended = runs(RECALL, ("bptt", {"iterations": "500"}), seeds=3)
    begun = runs(RECALL, ("bptt", {}), status="unfinished", seeds=4)
    _, rows = choose(RECALL, pd.concat([begun, ended], ignore_index=True))
    assert sorted(zip(rows.seed, rows["config.iterations"], strict=True)) == [(0, 500), (1, 500), (2, 500), (3, 2000)]
    _, rows = choose(RECALL, pd.concat([begun.assign(status="failed"), ended], ignore_index=True))
    assert set(rows["config.iterations"]) == {2000}  # control


def test_without_records_or_configs_it_is_the_config_of_the_task():
    expected = {variant: (PATTERN.paper_hash(variant),) for variant in PATTERN.variants}
    assert paper_hashes(PATTERN, pd.DataFrame({"variant": [], "config_hash": [], "status": []})) == expected
    assert paper_hashes(PATTERN, runs(PATTERN, ("bptt", {"n_rec": "40"}))) == expected
