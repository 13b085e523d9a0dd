"""The prepared sandboxes: data, records, interrupted runs, studies. Each is made once, by commands, and then copied."""

import functools
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.commands import start
from tests.faults.sandbox import PAPER, PATIENCE, TINY, Bench, run_words

ACCEPTED = tuple((variant, seed) for variant in ("e_prop_1", "no_recurrence") for seed in (0, 1, 2))
NEW = (("e_prop_1", 3), ("no_recurrence", 3))
STUDY = """\
about = "a try"
task = "pattern_generation"
variants = "e_prop_1"
profile = "smoke"
metric = "nmse"
direction = "minimize"
seeds = [100, 101]
best = 1
best_seeds = [200]

[settings]
n_rec = 30
trial_ms = 150
rate_cost = 0.002

[grid]
learning_rate = [0.001, 0.003]
"""


def _data(bench: Bench) -> None:
    """What speech and words train on: synthesised sentences, and a text of sixteen words."""
    text = bench.place.results / "data" / "text"
    text.mkdir(parents=True)
    number, word = 1, 0
    for split, count in (("training", 60), ("validation", 24), ("test", 24)):
        lines = [" ".join(f"word{k}" for k in range(16))] if split == "training" else []
        for _ in range(count):
            line = []
            for _ in range(8):
                number = (1103515245 * number + 12345) % 2**31
                word = (5 * word + 1 + (number >> 16) % 3) % 16
                line.append(f"word{word}")
            lines.append(" ".join(line))
        (text / f"{split}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    start(run_words("speech"), bench.place).wait(
        idle=PATIENCE
    )  # where the synthesiser is not installed, its faults are skipped
    shutil.rmtree(bench.place.results / "runs", ignore_errors=True)


def _records(bench: Bench) -> None:
    """Accepted records of the paper's size, the same ones among the user's runs with two more, and small runs."""
    accepted = bench.checkout / "results" / "accepted"
    for variant, seed in (*ACCEPTED, *NEW):
        source = next(accepted.glob(PAPER.format(variant=variant, seed=seed)))
        shutil.copytree(source, bench.place.results / "runs" / source.relative_to(accepted))
    bench.must("accept", *(str(bench.paper_folder(*run)) for run in ACCEPTED))
    for seed in (0, 1):
        bench.must(*run_words("pattern_generation", seed))
    bench.must(*run_words("copy_repeat"))


def _study(bench: Bench) -> None:
    """A study that is done."""
    (bench.place.folder / "work" / "a_try.toml").write_text(STUDY)
    bench.must("sweep", "a_try.toml", "--workers", "1")


def _study_file(bench: Bench) -> None:
    (bench.place.folder / "work" / "a_try.toml").write_text(STUDY)


def _interrupted(task: str, bench: Bench) -> None:
    """Seed 0 of a small run, killed when its third checkpoint was in place; seed 1 too; in other folders none."""
    for seed in (0, 1):
        start(run_words(task, seed), bench.place, functools.partial(die_after, 3)).wait(idle=PATIENCE)
        if not (bench.run_folder(task, seed) / "last.ckpt").is_file():
            raise RuntimeError(f"{task} left no checkpoint")


def die_after(number: int) -> None:
    """Kill this process once so many checkpoints have been put in place."""
    count = 0

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "os.rename" and str(args[1]).endswith("last.ckpt"):
            count += 1
        elif count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _half(bench: Bench) -> None:
    """A study of which two runs are done."""
    running = start(("sweep", "a_try.toml"), bench.place)
    done = bench.place.results / "studies" / "a_try" / "runs"
    while len(list(done.glob("*/*/*/record.json"))) < 2:
        time.sleep(0.02)
    running.send(signal.SIGINT)
    running.wait()


def _other_runs(bench: Bench) -> None:
    """A finished run and an interrupted one that are nobody's business."""
    bench.must(*run_words("pattern_generation", 5))
    bench.must(*run_words("copy_repeat", 5))


def _to_accept(bench: Bench) -> None:
    """Runs to accept: two new ones, and one whose accepted record is of an earlier training."""
    folder = bench.run_folder("pattern_generation")
    bench.must("accept", str(folder))
    accepted: Path = bench.place.results / "accepted" / folder.relative_to(bench.place.results / "runs") / "record.json"
    while (folder / "record.json").read_bytes() == accepted.read_bytes():
        for path in folder.iterdir():
            path.unlink()
        bench.must(*run_words("pattern_generation"))


# Name -> the prepared sandbox that it starts from, and what is done to it.
PREPARED: dict[str, tuple[str, Callable[[Bench], None]]] = {
    "data": ("empty", _data),
    "records": ("empty", _records),
    "study file": ("empty", _study_file),
    "half a study": ("study file", _half),
    "other runs": ("data", _other_runs),
    "to accept": ("records", _to_accept),
    **{f"interrupted {task}": ("data", functools.partial(_interrupted, task)) for task in TINY if task != "theory"},
}
