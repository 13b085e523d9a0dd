"""What `repro bench` prints and writes, from answers of workers that are made up."""

import importlib.util
import json

import pytest

from benchmarks import catalogue, goals, machine, measure, names, report, run, statistics, whole_run, whole_runs
from benchmarks.goals import Goal
from repro.cli import main as command_line
from repro.errors import RunFailed, UserError
from tests.benchmarks.conftest import NO_PEAK

EVERYONE = catalogue.BENCHES["pattern_generation"].who
SECONDS = {names.EAGER: 0.2, names.SCAN: 0.08, names.JAX_FACTORED: 0.06, names.FACTORED: 0.02, names.ONLINE: 0.3}
AGREED = {"who": [], "trials": 1, "rate_hz": 10.4, "exact": 3e-15, "single": 1.2e-6, "spikes": "every spike"}


@pytest.fixture
def answered(monkeypatch):
    """Workers that answer at once, as if JAX were installed; the requests."""
    requests: list[dict] = []

    def ask(**request):
        requests.append(request)
        series = {who: [SECONDS.get(who, 0.1) * k for k in (1.5, 1.0, 0.9)] for who in request.get("who", ())}
        answers = {"agreement": AGREED, "timing": {"cpu_s": series, "threads": 0.9}, "memory": {"peak_mb": 3.0}}
        return (answers | {"profile": {"aten::mm": 0.5, "aten::copy_": 0.25}})[request["measure"]]

    monkeypatch.setattr(measure, "ask", ask)
    monkeypatch.setattr(run, "ask", ask)
    monkeypatch.setattr(measure, "jax_is_here", lambda: True)
    return requests


def rows_of(capsys) -> dict:
    return {row["who"]: row for row in json.loads(capsys.readouterr().out)}


def test_rows_have_exactly_the_agreed_fields(answered, capsys) -> None:
    assert run.main("pattern_generation", as_json=True) == 0
    rows = rows_of(capsys)
    assert list(rows) == list(EVERYONE)
    assert rows[names.FACTORED] == {
        **{"bench": "pattern_generation", "who": "ours: e-prop 1 (factored)", "median_s": 0.02},
        **{"ratio_to_eager": pytest.approx(10), "peak_mb": 3.0, "variant": "e_prop_1_symmetric", "kind": "ours"},
        **{"low_s": pytest.approx(0.018), "high_s": pytest.approx(0.03), "ratio_to_best_peer": pytest.approx(3)},
    }
    assert rows[names.EAGER]["ratio_to_eager"] == 1
    assert rows[names.EAGER]["ratio_to_best_peer"] == pytest.approx(0.5)  # to BPTT in JAX, 0.1 s
    assert rows[names.SCAN]["kind"] == "peer"


def test_only_peers_with_the_same_gradient_are_peers() -> None:
    turns = {names.EAGER: [1.0], names.JAX_FACTORED: [0.1], names.SCAN_BPTT: [0.5], names.BPTT: [0.25]}
    row = measure.row_of("x", names.BPTT, names.BPTT, turns, None)
    assert (row.ratio_to_eager, row.ratio_to_best_peer) == (4, 2)
    alone = measure.row_of("x", names.SPIKING, names.SPIKING, {names.SPIKING: [1.0]}, None)
    assert (alone.ratio_to_eager, alone.ratio_to_best_peer) == (None, None)


def test_every_contender_has_a_kind_and_every_variant_a_reference() -> None:
    for bench in catalogue.BENCHES.values():
        for who in bench.who:
            contender = names.CONTENDERS[who]
            assert (contender.kind == "ours") == who.startswith("ours")
            if contender.kind == "ours":
                assert any(c.kind == "reference" for c in names.CONTENDERS.values() if c.variant == contender.variant)


def test_growing_benchmarks_name_the_size(answered, capsys) -> None:
    assert run.main("pattern_generation_growth_T", as_json=False) == 0
    out = capsys.readouterr().out
    assert "ours: e-prop 1 (online), T = 4000" in out
    assert (
        "in float64 they differed by at most 3e-15 of the largest entry, in float32, as timed, by at most 1e-06" in out
    )
    assert "where every spike was the same (mean firing rate 10 Hz)" in out


def test_without_jax_its_rows_are_left_out_and_a_sentence_says_so(answered, capsys, monkeypatch) -> None:
    monkeypatch.setattr(measure, "jax_is_here", lambda: False)
    run.main("store_recall", as_json=False)
    out = capsys.readouterr().out
    assert "JAX is not installed: its rows are left out" in out
    assert names.JAX_FACTORED not in out
    assert "what it takes to draw trials is not timed" in out


def test_jax_is_looked_for(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else object())
    assert not names.jax_is_here()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert names.jax_is_here()


def test_a_time_limit_leaves_benchmarks_out(answered, capsys, monkeypatch) -> None:
    left = iter([60.0] * 2 + [0.0] * 9)
    monkeypatch.setattr(measure.Clock, "left", lambda self: next(left))
    assert run.main("iterations", as_json=True, minutes=1) == 0
    captured = capsys.readouterr()
    assert {row["bench"] for row in json.loads(captured.out)} == {"pattern_generation"}
    assert "Left out, since 1 minutes have passed: store_recall, speech," in captured.err
    assert [request["seconds"] for request in answered if request["measure"] == "timing"] == [60.0]


def test_the_report_has_goals_misses_rows_and_machine(answered, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(machine, "machine", lambda device: "Some CPU")
    path = tmp_path / "performance.md"
    assert run.main("pattern_generation", as_json=False, write=path) == 0
    text = path.read_text()
    goal = "| pattern_generation | ours: e-prop 1 (factored) | at least 8 times as fast as the best JAX | 3.00 |"
    assert goal in text
    assert "- Missed: pattern_generation: ours: e-prop 1 (factored) took 20 ms and JAX factored, e-prop 1" in text
    assert text.count("- Missed") == 2  # the online evaluator too
    assert "a ratio of 3.00; the goal is at least 8 times as fast as the best JAX. Less than half is kernels" in text
    assert "Most of its time: `aten::mm` 50%" in text
    assert "Some CPU" in text
    assert "one thread a process" in text
    assert f"torch {machine.versions(('torch',))['torch']}" in text
    assert all(f"| {who} | {names.CONTENDERS[who].kind} |" in text for who in EVERYONE)
    profiled = [request["who"] for request in answered if request["measure"] == "profile"]
    assert profiled == [names.FACTORED, names.ONLINE]


def test_a_goal_that_is_met_is_no_miss(answered, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(goals, "GOALS", (Goal("pattern_generation", names.FACTORED, (names.EAGER,), "eager", 9.9),))
    path = tmp_path / "performance.md"
    run.main("pattern_generation", as_json=False, write=path)
    assert "| 10.00 |" in path.read_text()
    assert "Missed" not in path.read_text()


@pytest.mark.parametrize(("ours", "met"), [(0.3, True), (0.5, False)])
def test_at_most_so_many_times_the_best_truncated_bptt(ours, met) -> None:
    goal = Goal("x", names.E_PROP_3, (names.STOCK, names.CELL), "the best", 4.0, at_most=True)
    result = goals.result_of(goal, {names.E_PROP_3: [ours] * 3, names.STOCK: [0.2] * 3, names.CELL: [0.1] * 3})
    assert result is not None
    assert (result.rival, result.met) == (names.CELL, met)
    assert result.ratio.value == pytest.approx(10 * ours)


def test_a_goal_without_rivals_has_no_result() -> None:
    assert goals.result_of(goals.GOALS[0], {names.FACTORED: [1.0]}) is None


def test_goals_name_contenders_that_are_timed() -> None:
    for goal in goals.GOALS:
        assert {goal.who, *goal.rivals} <= set(catalogue.BENCHES[goal.bench].who)


def test_an_interval_is_as_wide_as_the_turns_differ() -> None:
    assert statistics.median([2.0] * 5) == (2, 2, 2)
    wide = statistics.median([1.0, 2.0, 9.0])
    assert (wide.low, wide.value, wide.high) == (1, 2, 9)


def test_what_slows_a_whole_turn_leaves_the_ratio_alone() -> None:
    busy = [1.0, 10.0, 3.0, 7.0]
    assert statistics.ratio([3 * s for s in busy], busy) == (3, 3, 3)
    apart = statistics.ratio([3.0, 30.0, 9.0, 21.0], busy[::-1])
    assert apart.low < 3 < apart.high


def test_a_whole_run_reaches_its_record(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(whole_runs, "TURNS", 1)
    smoke = whole_runs.WholeRun("pattern_generation", "e_prop_1", "smoke", ("iterations=3",))
    row = whole_runs.measure("run", smoke, measure.Clock(None))
    assert row.who == "repro run pattern_generation --variant e_prop_1 --profile smoke --set iterations=3"
    assert tuple(row.stages_s) == whole_run.STAGES
    assert min(row.stages_s.values()) > 0
    assert row.stages_s["imports"] < row.median_s
    assert row.peak_mb is not None
    assert row.peak_mb > 50  # torch alone
    assert row.who in report.terminal_run(row)


def test_a_whole_run_that_fails_is_not_timed() -> None:
    wrong = whole_runs.WholeRun("pattern_generation", "no_such_variant", "smoke")
    with pytest.raises(
        RunFailed, match="`repro run pattern_generation --variant no_such_variant .* ended with status 2"
    ):
        whole_runs.measure("run", wrong, measure.Clock(None))


def test_memory_is_that_of_the_tape() -> None:
    request = {"task": "pattern_generation", "size": {"n_rec": 100, "trial_ms": 500}}
    peak = measure.ask(measure="memory", who=names.EAGER, **request)["peak_mb"]
    if peak is None:
        pytest.skip(NO_PEAK)
    assert 1.6 < peak < 60  # 500 steps keep at least 8 arrays of 100 floats; 100 MB would be the imports


def test_online_memory_is_flat_in_time() -> None:
    short, long = (
        measure.ask(measure="memory", task="pattern_generation", size={"n_rec": 300, "trial_ms": ms}, who=names.ONLINE)[
            "peak_mb"
        ]
        for ms in (500, 4000)
    )
    if short is None:
        pytest.skip(NO_PEAK)
    assert long < short + 3  # one array of [time, neuron] would add 4.2 MB


def test_speech_fits_in_four_gigabytes() -> None:
    size = catalogue.BENCHES["speech"].sizes[0]
    twelfth = size | {"batch_size": size["batch_size"] // 4, "frames": size["frames"] // 3}
    peak = measure.ask(measure="memory", task="speech", size=twelfth, who=names.BPTT)["peak_mb"]
    if peak is None:
        pytest.skip(NO_PEAK)
    assert 13 < peak < 4000 / 12  # one array of [batch, time, neuron] of both directions is 13 MB


def test_a_profile_names_what_takes_the_time() -> None:
    shares = measure.ask(
        measure="profile", task="pattern_generation", size={"n_rec": 40, "trial_ms": 50}, who=names.EAGER
    )
    assert len(shares) == 3
    assert all(0 < share < 1 for share in shares.values())


def test_groups_have_all_benchmarks() -> None:
    assert [one for group in run.GROUPS.values() for one in group] == list(run.names_of(None))
    assert run.names_of("growth") == tuple(catalogue.GROWTH)


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="unknown benchmark 'patern_generation'; did you mean pattern_generation"):
        run.main("patern_generation", as_json=False)


@pytest.mark.parametrize("limit", ["0", "-1", "soon"])
def test_a_limit_is_a_number_of_minutes(limit, capsys) -> None:
    assert command_line.main(["bench", "pattern_generation", "--minutes", limit]) == 2
    assert "--minutes" in capsys.readouterr().err


def test_a_report_without_a_folder_is_refused_before_anything_is_timed(tmp_path, capsys) -> None:
    assert command_line.main(["bench", "--write", str(tmp_path / "no" / "file.md")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_worker_that_fails_says_why() -> None:
    with pytest.raises(RunFailed, match="ended with status"):
        measure.ask(measure="nothing")
