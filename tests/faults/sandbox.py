"""Folders in which faults are made: a copy of the code, prepared results, and what was in them before."""

import functools
import hashlib
import importlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.faults.commands import Ending, Place, start

CODE = ("repro", "tasks", "paper_figures", "sweeps", "pyproject.toml")
GIT = """#!/bin/sh
# A clean checkout, whatever the true one is: `accept` refuses records of code that is not committed.
case "$*" in *rev-parse*) echo 1234567890123456789012345678901234567890 ;; esac
"""
# The smallest runs whose networks still fire: variant, and settings beside the profile "smoke".
TINY: dict[str, tuple[str, dict[str, str]]] = {
    "pattern_generation": ("e_prop_1", {"n_rec": "30", "trial_ms": "150", "rate_cost": "0.002"}),
    "store_recall": (
        "e_prop_1",
        {"iterations": "8", "decode_fitted": "10", "decode_tested": "5", "trial_ms": "600"},
    ),
    "speech": (
        "e_prop_1",
        {"train_utterances": "8", "validation_utterances": "2", "test_utterances": "2", "batch_size": "2"}
        | {"epochs": "1", "evaluations": "2", "v_th": "1.5", "rate_cost": "0.01"},
    ),
    "arm_reaching": ("e_prop_2_linear", {"iterations": "8", "inner_learning_rate": "0.003"}),
    "copy_repeat": ("e_prop_3", {"iterations": "24", "synthetic_factor": "0.5"}),
    "word_prediction": (
        "e_prop_3",
        {"corpus": "text", "vocabulary": "20", "training_words": "410", "evaluated_words": "200", "iterations": "3"}
        | {"full_epochs": "1", "init_scale": "0.6", "synthetic_factor": "0.5"},
    ),
    "theory": ("measured", {}),
}
TASKS = tuple(TINY)
# Records of the paper's size, accepted by `repro accept` into the sandbox; of the others `runs` has copies as well.
PAPER = "pattern_generation/{variant}-*/seed-{seed}"
PATIENCE = 300.0  # seconds for a helper process, such as the one that synthesises speech
Files = dict[str, str]  # path -> hash of the content, or what stands there


def run_words(task: str, seed: int = 0) -> tuple[str, ...]:
    """The command of a task's smallest run."""
    variant, settings = TINY[task]
    pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ("run", task, "--variant", variant, "--profile", "smoke", "--seed", str(seed), *pairs)


class Bench:
    """Makes sandboxes: each a copy of a prepared folder, at one path, so that outputs can be compared."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        """Copy the code of `checkout`; commands run the copy, so that no fault reaches the checkout."""
        self.checkout, self.folder = checkout, folder
        self.code = folder / "code"
        self.place = Place(self.code, folder / "now")
        shutil.rmtree(folder, ignore_errors=True)
        for name in CODE:
            source = checkout / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            (self.code / name).parent.mkdir(parents=True, exist_ok=True)
            copy(source, self.code / name)
        _only_figure_1(self.code / "paper_figures" / "claims.toml")
        git = self.code / ".bin" / "git"
        git.parent.mkdir()
        git.write_text(GIT)
        git.chmod(0o755)

    def fresh(self, prepared: str = "empty") -> Place:
        """Replace the sandbox by a copy of a prepared one (tests/faults/prepared.py)."""
        source = self._prepared(prepared)
        self._clear()
        shutil.copytree(source, self.place.folder, symlinks=True)
        return self.place

    def _clear(self) -> None:
        shutil.rmtree(self.place.folder, ignore_errors=True)
        if self.place.folder.exists():
            raise RuntimeError(f"{self.place.folder} cannot be removed")

    @functools.cache  # noqa: B019  a bench lives as long as the process
    def _prepared(self, name: str) -> Path:
        folder = self.folder / "prepared" / name
        if name == "empty":
            self._clear()
            for part in ("home", "tmp", "work", "results"):
                (self.place.folder / part).mkdir(parents=True)
        else:
            base, make = importlib.import_module("tests.faults.prepared").PREPARED[name]
            self.fresh(base)
            make(self)
        shutil.copytree(self.place.folder, folder, symlinks=True)
        return folder

    def must(self, *words: str) -> Ending:
        """Run an undisturbed command that has to succeed."""
        ending = start(words, self.place).wait(idle=PATIENCE)
        if ending.status:
            raise RuntimeError(f"{ending} ended with {ending.status} undisturbed: {ending.err[-2000:]}")
        return ending

    def run_folder(self, task: str, seed: int = 0, root: str = "runs") -> Path:
        """Where the smallest run of a task lies."""
        variant = TINY[task][0]
        found = [*(self.place.results / root / task).glob(f"{variant}-*/seed-{seed}")]
        return found[0] if found else self.place.results / root / task / variant / f"seed-{seed}"

    def paper_folder(self, variant: str, seed: int, root: str = "runs") -> Path:
        """Where a record of the paper's size lies."""
        seed_0 = next((self.checkout / "results" / "accepted").glob(PAPER.format(variant=variant, seed=0)))
        return self.place.results / root / "pattern_generation" / seed_0.parent.name / f"seed-{seed}"


def _only_figure_1(claims: Path) -> None:
    """Leave out the claims on other figures: judging takes a second less, a thousand times."""
    head, *tables = re.split(r"(?m)^(?=\[)", claims.read_text(encoding="utf-8"))
    claims.write_text(
        head + "".join(table for table in tables if not re.match(r"\[\[(?!fig1)", table)), encoding="utf-8"
    )


def digest(path: Path) -> str:
    """The hash of a file's content; of JSON the hash of what it says, so that spaces do not count."""
    try:
        if path.is_symlink():
            return f"link to {path.readlink()}"
        if not path.is_file():
            return "no file"
        data = path.read_bytes()
        if path.suffix == ".json":
            data = json.dumps(json.loads(data), sort_keys=True).encode()
    except (OSError, ValueError, RecursionError):
        data = path.read_bytes() if path.is_file() else b""
    return hashlib.sha256(data).hexdigest()


def files(folder: Path, but: Iterable[str] = ()) -> Files:
    """Everything below a folder, without those whose relative path matches one of some patterns."""
    patterns = [re.compile(pattern) for pattern in but]
    listed = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not any(pattern.search(name) for pattern in patterns) and (path.is_symlink() or not path.is_dir()):
            listed[name] = digest(path)
    return listed


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Paths that were there and are gone or differ."""
    return [path for path, content in before.items() if after.get(path) != content]


def added(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Paths that were not there."""
    return [path for path in after if path not in before]


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path contains one of some patterns."""
    return any(re.search(pattern, path) for pattern in patterns)
