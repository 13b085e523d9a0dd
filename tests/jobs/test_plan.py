"""Which runs a figure needs, which are there, what they cost."""

from pathlib import Path

import pytest

from repro.errors import UserError
from repro.jobs.plan import RUN_SECONDS, expected_seconds, makespan, plan, relative_work
from repro.runs.registry import get_task
from tests.cli.conftest import written

TASK = get_task("pattern_generation")


def test_every_variant_and_seed_longest_first(results: Path) -> None:
    jobs = plan([TASK], "quick", (0, 4))
    assert {(job.variant, job.seed) for job in jobs} == {(v, s) for v in TASK.variants for s in (0, 4)}
    both = plan([TASK, get_task("store_recall")], "quick", (0, 4))
    assert both[0].task == "store_recall" and len({job.seconds for job in both}) > 1
    assert [job.seconds for job in both] == sorted((job.seconds for job in both), reverse=True)


def test_the_profile_says_which_seeds(results: Path) -> None:
    assert {job.seed for job in plan([TASK], "quick")} == {0}
    assert {job.seed for job in plan([TASK], "paper")} == set(range(10, 20))


def test_a_profile_may_leave_variants_out(results: Path) -> None:
    task = get_task("store_recall")
    assert {job.variant for job in plan([task], "quick")} == set(task.variants) - {"lif_only_e_prop_1"}
    assert {job.variant for job in plan([task], "paper")} == set(task.variants)


def test_unknown_profile(results: Path) -> None:
    with pytest.raises(UserError, match="unknown profile 'quik' of pattern_generation; did you mean quick"):
        plan([TASK], "quik")


def test_only_finished_runs_are_there(results: Path) -> None:
    finished, failed, broken, *_ = plan([TASK], "quick")
    written(finished)
    written(failed, "failed", "the loss is NaN")
    written(broken)
    (broken.folder / "record.json").write_text("{")
    assert [job.variant for job in plan([TASK], "quick") if job.finished] == [finished.variant]


def test_a_smaller_profile_costs_less() -> None:
    full, small = TASK.resolve("bptt", "quick"), TASK.resolve("bptt", "smoke")
    assert relative_work(TASK, "bptt", full) == 1.0
    assert relative_work(TASK, "bptt", small) == pytest.approx(12 / 1000 * 100 / 1000 * 40 / 600)
    assert expected_seconds(TASK, "bptt", full) == RUN_SECONDS + TASK.seconds["bptt"]
    assert expected_seconds(TASK, "bptt", small) < RUN_SECONDS + 0.1


def test_the_work_of_an_utterance_and_the_data_of_the_machine(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = get_task("speech")
    full, small = task.resolve("bptt", "paper"), task.resolve("bptt", "smoke")
    assert relative_work(task, "bptt", full) == 1.0
    assert relative_work(task, "bptt", small) == pytest.approx(12 / 9240 * 32 / 800 * 4 / 32)
    monkeypatch.delenv("TIMIT_DIR", raising=False)
    stand_in = {job.folder for job in plan([task], "quick")}
    monkeypatch.setenv("TIMIT_DIR", str(results))
    assert stand_in.isdisjoint(job.folder for job in plan([task], "quick"))


def test_makespan() -> None:
    assert makespan([], 2) == 0
    assert makespan([6, 3, 3, 2], 1) == 14
    assert makespan([6, 3, 3, 2], 2) == 8
    assert makespan([6, 3, 3, 2], 9) == 6
