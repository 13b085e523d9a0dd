"""What limits a plan: minutes, a device that is not there, and threads that are more than the cores."""

import re
from pathlib import Path

import pytest

from repro.errors import UserError
from repro.jobs import processes
from repro.jobs.plan import PlannedRun
from tests.cli.test_reproduce import Write, arguments, execute, fake, no_words, prepared
from tests.cli.test_reproduce import concluded as concluded


def test_minutes_are_those_of_the_whole_plan(
    results: Path, write: Write, concluded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = prepared(write)
    write(jobs[1], "unfinished", "20 of 40 iterations")
    (jobs[1].folder / "record.json").rename(jobs[1].folder / "waiting.json")
    last = "time.sleep(max(0, until - time.time()))"  # the minutes are over with the second run

    def words(job: PlannedRun) -> list[str]:
        ends = [last, "raise SystemExit(75)"] if job == jobs[1] else []
        return [*fake(job, "assert until - time.time() < 6"), *ends]

    assert execute(arguments(jobs=1, minutes=0.1), words) == 75
    out = capsys.readouterr().out
    assert f"[2/9] {jobs[1]}: unfinished after 6 s: 20 of 40 iterations\n" in re.sub(r"after \d+ s", "after 6 s", out)
    rows = [re.split(r"  +", line.strip()) for line in out.splitlines() if re.match(r"pattern_generation .*  ", line)]
    assert rows == [
        [str(jobs[0]), "finished", "nmse 0.012"],
        [str(jobs[1]), "unfinished", "20 of 40 iterations"],
        *([str(job), "not begun"] for job in jobs[2:]),
    ]
    assert out.endswith("0.1 min are over, 8 of 9 runs unfinished: run the same command again to resume\n")
    assert concluded == ["fig1"]
    assert execute(arguments(), lambda job: ["sys.exit(1)"] if job == jobs[4] else fake(job)) == 1  # not 75
    assert "9 unfinished" not in capsys.readouterr().out


def test_what_cannot_be_done_trains_nothing(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for changes, sentence in (
        ({"device": "cuda"}, "--device cuda: torch finds no GPU here; use --device cpu"),
        ({"figure": "theory", "device": "cuda"}, "theory is measured on the CPU; leave --device out"),
        ({"figure": "theory", "minutes": 5}, "theory cannot be interrupted and resumed; leave --minutes out"),
    ):
        with pytest.raises(UserError, match=sentence):
            execute(arguments(**changes), no_words)
    assert list((results / "runs").iterdir()) == []
    assert execute(arguments(device="cuda", dry_run=True), no_words) == 0  # control: a plan needs no GPU


@pytest.mark.parametrize(
    ("threads", "cores", "lines"),
    [
        (None, 2, []),
        ("1", 2, []),
        ("4", 2, ["note: OMP_NUM_THREADS=4 is not used: each of several processes has one thread"]),
        ("1", 1, ["warning: --jobs 2: 2 processes share 1 core"]),
    ],
)
def test_threads_and_cores(
    results: Path,
    write: Write,
    concluded: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    threads: str | None,
    cores: int,
    lines: list[str],
) -> None:
    prepared(write)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(processes, "cores", lambda: cores)
    for dry_run, wanted in ((True, []), (False, lines)):
        execute(arguments(jobs=2, dry_run=dry_run), fake)
        printed = capsys.readouterr().out.splitlines()
        assert [line for line in printed if line.startswith(("note", "warning"))] == wanted
