"""A job is done on the data that it was planned for: a machine with other data leaves it, in a sentence."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.jobs.figure_runs import FigureRuns, job_of_run
from repro.jobs.job import Job
from repro.jobs.plan import PlannedRun, plan
from repro.jobs.queue import Queue
from repro.records.store import queue_folder, study_folder
from repro.runs.registry import get_task
from repro.studies.studyfile import load
from tests.studies.conftest import FAST, GOOD

WORDS = """\
about = "a try"
task = "word_prediction"
variants = "e_prop_1"
profile = "smoke"
metric = "perplexity"
seeds = [100]

[grid]
learning_rate = [0.001, 0.003]
"""
CHOSEN = WORDS.replace("[grid]", '[settings]\ncorpus = "stand_in"\n\n[grid]')


@pytest.fixture(autouse=True)
def without_treebank(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PTB_DIR", raising=False)
    monkeypatch.delenv("REPRO_STORAGE", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def treebank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Makes this a machine that has the Penn Treebank, or one that has not."""

    def give(there: bool) -> None:
        monkeypatch.setenv("PTB_DIR", str(tmp_path)) if there else monkeypatch.delenv("PTB_DIR")

    return give


def runs(task: str = "word_prediction") -> list[PlannedRun]:
    return plan([get_task(task)], "smoke", [0])


def helper() -> Queue:
    return Queue(FigureRuns("fig4", "smoke"), None, FAST)


def taken(queue: Queue) -> set[Path]:
    """The folders of the runs that a process would train, which it finishes."""
    folders = set()
    for attempt in iter(queue.take, None):
        folders.add(queue.jobs.run_of(attempt.job).folder)
        queue.finish(attempt, {"perplexity": 500.0})
    return folders


def test_a_helper_takes_the_runs_whose_data_it_has(treebank: Callable[[bool], None]) -> None:
    treebank(True)
    planned = runs()
    planner = Queue(FigureRuns("fig4", "smoke", planned), None, FAST)
    planner.fill()
    treebank(False)
    assert taken(helper()) == set() and helper().is_done() and not planner.is_done()
    treebank(True)
    assert taken(helper()) == {run.folder for run in planned}
    assert planner.is_done()


def test_two_commands_on_different_data_share_a_queue(treebank: Callable[[bool], None]) -> None:
    stand_in = runs()
    treebank(True)
    planned = runs()
    assert {run.folder for run in planned}.isdisjoint(run.folder for run in stand_in), "control"
    with_it, without = (Queue(FigureRuns("fig4", "smoke", which), None, FAST) for which in (planned, stand_in))
    with_it.fill()
    treebank(False)
    without.fill()
    assert taken(without) == {run.folder for run in stand_in}
    assert without.is_done() and not with_it.is_done()
    assert {with_it.states()[job_of_run(run)].name for run in planned} == {"waiting"}


def test_a_job_of_an_older_queue_names_no_data_and_is_made() -> None:
    run = runs()[0]
    old = Job((("task", run.task),), run.variant, run.seed)
    queue = helper()
    queue.optuna.enqueue_trial(old.params, user_attrs={"job": str(old)})
    assert taken(helper()) == {run.folder}


def test_tasks_without_such_data_have_the_jobs_that_they_had() -> None:
    assert {job_of_run(run).point for run in runs("copy_repeat")} == {(("task", "copy_repeat"),)}


def test_work_leaves_runs_on_other_data_and_exits_with_a_sentence(
    treebank: Callable[[bool], None], results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    treebank(True)
    Queue(FigureRuns("fig4", "smoke", runs())).fill()
    treebank(False)
    journal = queue_folder("fig4-smoke") / "journal.log"
    before = journal.read_bytes()
    number = len(runs())
    sentence = f"{number} runs left to a machine that has the same data as the command that planned them"
    sentence += ": task=word_prediction corpus=ptb\n"
    assert main(["work", "fig4-smoke", "--logger", "none"]) == 2
    assert capsys.readouterr() == ("", f"repro: error: {sentence}")
    assert journal.read_bytes() == before and not (results / "runs").exists()

    other = runs("copy_repeat")[0]
    Queue(FigureRuns("fig4", "smoke", [other])).fill()
    assert main(["work", "fig4-smoke", "--logger", "none"]) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith(sentence) and f"1 of {number + 1} done, {number} waiting" in printed.out
    assert "draws the result" not in printed.out and printed.err == f"repro: error: {sentence}"
    assert [path.parent for path in (results / "runs").rglob("record.json")] == [other.folder]


def test_a_study_goes_on_on_the_same_data_only(
    treebank: Callable[[bool], None], write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(WORDS)
    Queue(load(path))
    Queue(load(path))
    treebank(True)
    journal = study_folder("a_try") / "journal.log"
    before = journal.read_bytes()
    for words in (["work", str(path)], ["sweep", str(path)]):
        assert main(words) == 2
        assert capsys.readouterr() == (
            "",
            "repro: error: study a_try was begun on other data (corpus=stand_in) than this machine has (corpus=ptb): "
            f"give it the same data, rename the file, or delete {journal}\n",
        )
    assert journal.read_bytes() == before


def test_studies_that_other_data_cannot_change_go_on(
    treebank: Callable[[bool], None], write: Callable[[str], Path]
) -> None:
    for text in (CHOSEN, CHOSEN.replace('[settings]\ncorpus = "stand_in"\n\n[grid]', '[grid]\ncorpus = ["stand_in"]')):
        queue = Queue(load(write(text)))
        assert "data" not in queue.optuna.user_attrs
        treebank(True)
        Queue(load(write(text)))
        treebank(False)
        (study_folder("a_try") / "journal.log").unlink()
    assert load(write(GOOD)).data == {}


def test_a_study_begun_before_data_were_kept_goes_on(
    treebank: Callable[[bool], None], write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load(write(WORDS))
    assert "corpus" not in json.loads(study.fingerprint)
    with monkeypatch.context() as patch:
        patch.setattr(type(study), "data", {})
        assert "data" not in Queue(study).optuna.user_attrs
    Queue(study).fill()
    treebank(True)
    Queue(study)
    with pytest.raises(UserError, match="with other runs"):  # control
        Queue(dataclasses.replace(study, seeds=(101,)))
